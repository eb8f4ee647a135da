"""Check of the key that encrypts secrets: which, who can read it, and whether it is the one."""

import stat

from espf.cli.diagnosis.finding import Finding, ok, warn, wrong
from espf.config import Config
from espf.errors import ConfigError, StorageError
from espf.secrets import KEY_VARIABLE, key_file
from espf.starting import check_key as check_fingerprint


def check_key(config: Config) -> Finding:
    """Where the key comes from, and that nobody else can read it."""
    if config.secret_key is not None:
        return ok("key", f"The key that encrypts secrets comes from {KEY_VARIABLE}.")
    path = key_file(config.database, config.key_environment)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return warn("key", f"There is no key file {path} yet; it is made at first use.")
    except OSError as error:
        return wrong("key", f"The key file {path} cannot be read: {error.strerror}.")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return wrong("key", f"Others can reach the key file {path}.", f"Run `chmod 600 {path}`.")
    return ok("key", f"The key file {path} is for its owner alone.")


def check_use(config: Config) -> Finding:
    """Whether the database is used with this key."""
    try:
        check_fingerprint(config)
    except (ConfigError, StorageError) as error:
        return wrong("key", str(error))
    return ok("key", "The database is used with no other key.")
