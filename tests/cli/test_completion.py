"""Completion: a script for each shell, and answers without importing what need not be."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from durableq.cli.completion import SHELLS, VARIABLE
from durableq.cli.main import COMMANDS, main

ASK = "from durableq.cli.main import main; main(prog_name='durableq')"


def asked(shell: str, words: str, number: int, code: str = ASK) -> subprocess.CompletedProcess[str]:
    """What a shell's script asks when the word of this number is to be completed."""
    word = words.split(" ")[number] if shell == "fish" else str(number)
    env = os.environ | {VARIABLE: f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": word}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=30, check=True)


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_its_script(shell: str) -> None:
    done = CliRunner().invoke(main, ["completion", shell], catch_exceptions=False)
    assert done.exit_code == 0
    assert f"{VARIABLE}={shell}_complete" in done.stdout


def test_another_shell_is_refused_with_those_there_are() -> None:
    done = CliRunner().invoke(main, ["completion", "tcsh"])
    assert done.exit_code == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in done.stderr


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_are_completed(shell: str) -> None:
    said = asked(shell, "durableq s", 1).stdout.splitlines()
    named = {line.removeprefix("plain,").partition("\t")[0] for line in said}
    assert [name for name in COMMANDS if name in named] == ["scheduler", "sync", "send", "signal"]


@pytest.mark.parametrize("shell", SHELLS)
def test_flags_and_their_values_are_completed(shell: str) -> None:
    assert "--with-scheduler" in asked(shell, "durableq worker --wi", 2).stdout
    assert "warning" in asked(shell, "durableq worker --log-level w", 3).stdout


def test_completing_a_command_imports_none_of_them() -> None:
    code = f"import sys\ntry:\n    {ASK}\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    modules = asked("bash", "durableq s", 1, code).stderr.split()
    assert [name for name in modules if name.startswith("durableq.")] == ["durableq.cli", "durableq.cli.main"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_with_the_script(tmp_path: Path) -> None:
    program = tmp_path / "durableq"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{ASK}" "$@"\n')
    program.chmod(0o700)
    script = CliRunner().invoke(main, ["completion", "bash"]).stdout
    pressed = f'COMP_WORDS=(durableq sch); COMP_CWORD=1; _durableq_completion {program}; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{pressed}"], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "scheduler\n"
