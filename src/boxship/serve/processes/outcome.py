"""Why a server ended, or a worker never began."""

import signal
from dataclasses import dataclass

from boxship.errors import EXIT_FAILURE, BoxshipError
from boxship.serve.processes.child import Child, End


@dataclass(frozen=True)
class Outcome:
    """Why the server ended: its exit code, and one paragraph where something is wrong."""

    exit_code: int = 0
    message: str = ""

    def error(self) -> BoxshipError:
        """The same as an error."""
        return BoxshipError(self.message, exit_code=self.exit_code)


def stillborn(child: Child, end: End) -> Outcome:
    """A worker died before the server was ever ready."""
    if end.failure is not None:
        return Outcome(end.failure.exit_code, end.failure.message)
    if child.state.detail:
        return Outcome(EXIT_FAILURE, child.state.detail)
    why = "Its last log lines say more."
    if end.code == -signal.SIGKILL:
        why = "SIGKILL is usually the kernel's: the memory limit is too small for the model."
    return Outcome(
        EXIT_FAILURE, f"Worker {child.slot} died before the model was ready ({end}). {why}"
    )
