"""What all verbs of the command line have in common."""

import argparse

Verbs = argparse._SubParsersAction  # noqa: SLF001 (what argparse returns has no public name)


def add(
    verbs: "Verbs[argparse.ArgumentParser]",
    name: str,
    *,
    summary: str,
    description: str,
    epilog: str,
) -> argparse.ArgumentParser:
    """A verb with its help; texts keep their line breaks, and flags are written in full."""
    verb = verbs.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    verb.set_defaults(verb=name)
    return verb
