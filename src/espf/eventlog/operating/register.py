"""Keeps the fingerprint of the installation's key (see `espf.keyring`), on a session."""

from espf.eventlog.operating.session import Session


class SessionRegister:
    """The fingerprint in the table `installation`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def fingerprint(self) -> str | None:
        """That of the key in use; None before the first use."""
        row = self._session.run("key_fingerprint").fetchone()
        return None if row is None else str(row[0])

    def claim(self, fingerprint: str) -> None:
        """Store it, unless somebody else has just done so."""
        with self._session.changing():
            self._session.run("claim_key", {"fingerprint": fingerprint})
