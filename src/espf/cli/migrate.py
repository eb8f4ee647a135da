"""`espf migrate`: makes or updates the database."""

import typer

from espf.cli.output import print_json, say, warn


def migrate() -> None:
    """Make the database, or bring it up to date."""
    from espf.app import migrate_database
    from espf.config import load_config

    config = load_config()
    done = migrate_database(config)
    for line in done:
        say(line)
    say(f"{config.database.shown} is up to date.")


def first_start() -> None:
    """Migrate and make the user admin if there is no user; prints a record for `espf serve`."""
    from espf.app import migrate_database, open_django
    from espf.config import load_config
    from espf.errors import ConfigError

    config = load_config()
    done = migrate_database(config)
    open_django(config)
    from espf.site.users import first_admin

    given = config.admin_password.get_secret_value() if config.admin_password else None
    try:
        made = first_admin(given)
    except ConfigError as error:
        warn(str(error))
        raise typer.Exit(1) from error
    print_json({"done": done, "user": made and made.name, "password": made and made.generated})
