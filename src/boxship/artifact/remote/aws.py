"""A profile of the AWS command line, which obstore leaves to others."""

from collections.abc import Mapping
from configparser import ConfigParser, Error
from pathlib import Path

from boxship.errors import FetchError

_KEYS = {
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
    "region": "region",
    "endpoint_url": "endpoint",
}
_PLACES = {"region", "endpoint"}
_OTHER_LOGINS = {"role_arn", "sso_session", "sso_start_url", "credential_process"}


def profile(environ: Mapping[str, str]) -> dict[str, str]:
    """Obstore's configuration as the profile says it.

    ``AWS_PROFILE`` names the profile, else it is ``default``. Keys and web identities of the
    environment come before a profile's keys, as in AWS's own tools. Raises ``FetchError`` for
    a profile that was asked for and is not there, or logs in by other means than keys.
    """
    wanted = environ.get("AWS_PROFILE")
    home = Path(environ.get("HOME") or "/nonexistent") / ".aws"
    credentials = Path(environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials")
    config = Path(environ.get("AWS_CONFIG_FILE") or home / "config")
    name = wanted or "default"
    section = "default" if name == "default" else f"profile {name}"
    found = {**_section(config, section), **_section(credentials, name)}
    if wanted and not found:
        raise FetchError(
            f"AWS_PROFILE: expected a profile {wanted!r} in {credentials} or {config}, found none.",
            tip="Check the name, or unset AWS_PROFILE.",
        )
    settings = {ours: found[theirs] for theirs, ours in _KEYS.items() if found.get(theirs)}
    if environ.get("AWS_ACCESS_KEY_ID") or (
        environ.get("AWS_WEB_IDENTITY_TOKEN_FILE") and not wanted
    ):
        return {key: settings[key] for key in settings if key in _PLACES}
    others = sorted(found.keys() & _OTHER_LOGINS)
    if others and "access_key_id" not in settings:
        raise FetchError(
            f"{config}: profile {name!r} logs in by {others[0]}, which Boxship does not do.",
            tip='Turn it into variables first: eval "$(aws configure export-credentials '
            f'--profile {name} --format env)"',
        )
    return settings


def _section(file: Path, name: str) -> Mapping[str, str]:
    parser = ConfigParser(interpolation=None, default_section="")
    try:
        parser.read(file, encoding="utf-8")
    except (Error, OSError, UnicodeDecodeError) as error:
        raise FetchError(
            f"{file}: expected AWS profiles, found what cannot be read: {type(error).__name__}."
        ) from error
    return parser[name] if parser.has_section(name) else {}
