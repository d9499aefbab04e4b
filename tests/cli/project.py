"""A user's project: modules written for one test, and forgotten after it."""

from __future__ import annotations

import textwrap
from pathlib import Path

HEAD = "import durableq as dq\n"


class Project:
    """Files in the current directory of the test."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, path: str, text: str = "") -> Path:
        """A file, its folders made."""
        file = self.directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    def module(self, path: str, text: str = "") -> Path:
        """A module that begins with `import durableq as dq`, so that its own first line is the second."""
        return self.write(path, HEAD + textwrap.dedent(text))

    def app(self, path: str = "shop.py", app_id: str = "shop", function: str = "pay", more: str = "") -> Path:
        """A module with an app that has one function."""
        return self.module(path, f"app = dq.App({app_id!r}{more})\n{declares(function)}")


def declares(function: str, **options: str) -> str:
    """The declaration of a function on `app`, in five lines."""
    given = "".join(f", {name}={text}" for name, text in options.items())
    name = function.replace("-", "_").replace(".", "_")
    return textwrap.dedent(f"""
        @app.function({function!r}, triggers=[dq.EventTrigger("{function}/asked")]{given})
        async def {name}(ctx: dq.Context) -> None:
            await ctx.step.run("one", int)

    """)
