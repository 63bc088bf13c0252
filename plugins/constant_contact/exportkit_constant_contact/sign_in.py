"""Signing in with a person: in a browser on this machine, or on any other device."""

from __future__ import annotations

import time
import webbrowser
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from exportkit import AccessDeniedError, DestinationError, UnavailableError

from .listener import Listener
from .oauth import Kept, application_refused, fingerprint_of
from .provider import Provider, RefusedError, TooOftenError
from .wire import LostError, NotSentError

if TYPE_CHECKING:
    from collections.abc import Callable

    from exportkit import Connection, Prompt

    from .provider import DeviceCode, Granted

T = TypeVar("T")

PATIENCE = 300.0
"""Seconds that a person has to sign in in the browser; the code lasts as long."""
SLOWER = 5.0
"""Seconds to add between questions each time that the server asks for it."""


def sign_in(connection: Connection, prompt: Prompt) -> dict[str, Any]:
    """Sign in; answers what to keep. Never shows a token.

    Raises AccessDeniedError if it was declined or took too long, UnavailableError if the service
    cannot be reached, DestinationError or JobError for settings that cannot work.
    """
    options = connection.options
    provider = Provider(options["auth_url"], options["client_id"], options.get("client_secret"))
    try:
        asked_at = time.time()
        if prompt.browser:
            port = options["redirect_port"]
            granted = sign_in_with_browser(provider, prompt, connection.name, port=port)
        else:
            granted = sign_in_with_device(provider, prompt, connection.name)
    finally:
        provider.close()
    if granted.refresh_token is None:
        prompt.tell(
            "The service gave no refresh token: this sign-in ends by itself after "
            f"{granted.lifetime / 3600:.0f} hours."
        )
    # This sign-in is newer than the first token that the connection's file may name.
    first = fingerprint_of((options.get("refresh_token") or "").strip())
    return Kept(first_token_fingerprint=first).after(granted, asked_at).values()


def sign_in_with_browser(
    provider: Provider,
    prompt: Prompt,
    name: str,
    *,
    port: int,
    patience: float = PATIENCE,
    open_page: Callable[[str], object] | None = None,
) -> Granted:
    """Open the sign-in page and wait for the browser to come back to this machine."""
    from authlib.common.security import generate_token

    state, verifier = generate_token(48), generate_token(64)
    with Listener(port, state) as listener:
        page = provider.page(listener.redirect_uri, state, verifier)
        prompt.tell(f"Sign in in the browser. If none opens, open this yourself:\n{page}")
        with suppress(webbrowser.Error, OSError):  # the address is shown anyway
            (open_page or webbrowser.open)(page)
        answer = listener.wait(patience)
    if answer is None:
        raise AccessDeniedError(
            f"nobody signed in within {patience / 60:.0f} minutes",
            hint="if the service's page showed an error, the application has to name the redirect "
            f"URI {listener.redirect_uri}; try again: {_command(name)}",
        )
    if "error" in answer:
        raise _refused(answer["error"], name)
    return _once(lambda: provider.redeem(answer["code"], listener.redirect_uri, verifier), name)


def sign_in_with_device(
    provider: Provider,
    prompt: Prompt,
    name: str,
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Granted:
    """Show an address and a code, and wait for the person to sign in wherever they are."""
    code = _once(provider.device, name)
    prompt.tell(_directions(code))
    interval, until = code.interval, clock() + code.lifetime
    while (left := until - clock()) > 0:
        sleep(min(interval, left))
        try:
            return provider.ask_device(code.device_code)
        except RefusedError as error:
            if error.code == "slow_down":
                interval += SLOWER
            elif error.code != "authorization_pending":
                raise _refused(error.code, name) from None
        except TooOftenError as error:
            interval = max(interval + SLOWER, error.retry_after or 0.0)
        except (LostError, NotSentError):
            interval *= 2
    raise _refused("expired_token", name)


def _once(ask: Callable[[], T], name: str) -> T:
    """What the server answers; what may have been processed is not asked again."""
    try:
        return ask()
    except RefusedError as error:
        failure: DestinationError = _refused(error.code, name)
    except TooOftenError:
        failure = UnavailableError("the sign-in service is asked too often")
    except NotSentError as error:
        failure = UnavailableError(f"the sign-in service: {error}")
    except LostError as error:
        failure = UnavailableError(f"the sign-in service {error}")
    failure.hint = failure.hint or f"a little later, once more: {_command(name)}"
    raise failure


def _refused(code: str, name: str) -> AccessDeniedError:
    reasons = {
        "access_denied": "the sign-in was declined",
        "expired_token": "the code ran out before anybody signed in with it",
        "invalid_grant": "the service does not accept the code of this sign-in, or not any more",
    }
    if code in reasons:
        return AccessDeniedError(reasons[code], hint=f"once more: {_command(name)}")
    known = code.isascii() and code.replace("_", "").isalpha() and len(code) <= 40
    return application_refused(code if known else "an unknown reason", name)


def _directions(code: DeviceCode) -> str:
    """What to do elsewhere. Addresses that are none, or end on no web page, are not shown."""
    if urlsplit(code.address).scheme not in ("https", "http"):
        raise DestinationError("the sign-in service names no web page to sign in on")
    lines = [f"On any device, open {code.address} and enter the code {code.user_code}"]
    if code.whole_address and urlsplit(code.whole_address).scheme in ("https", "http"):
        lines.append(f"or open {code.whole_address}")
    lines.append(f"The code lasts for {code.lifetime / 60:.0f} minutes.")
    return "\n".join(lines)


def _command(name: str) -> str:
    return f"exportkit connection authorize {name}"
