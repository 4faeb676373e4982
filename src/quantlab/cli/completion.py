"""Completion scripts for bash, zsh and fish, made from the command table.

They complete groups and verbs, the options of the command on the line in its own spelling, choices,
and paths. They are static texts: pressing Tab starts no Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from quantlab.cli import table
from quantlab.cli.shape import Command, Parameter

_GLOBALS: Final = tuple(each.flag for each in table.GLOBAL_OPTIONS)


def completion_script(shell: str) -> str:
    """Return the script of ``bash``, ``zsh`` or ``fish``."""
    scripts: dict[str, Callable[[], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
    return scripts[shell]()


def _first_words() -> list[str]:
    names = {command.name.split()[0]: None for command in table.COMMANDS}
    return [*names, *table.VERB_FLAGS, *_GLOBALS]


def _flags(parameter: Parameter) -> list[str]:
    grouped = [] if parameter.flag is None else [f"--{parameter.flag}"]
    return grouped + ([] if parameter.runbook is None else [parameter.runbook])


def _parameters() -> Iterable[tuple[str, Parameter]]:
    """Yield every flag that takes a value, once, with what it takes."""
    seen: dict[str, Parameter] = {}
    for command in table.COMMANDS:
        for parameter in command.parameters:
            if parameter.kind != "switch":
                for flag in _flags(parameter):
                    seen.setdefault(flag, parameter)
        if command.runbook is not None and command.positional is not None:
            seen.setdefault(command.runbook, command.positional)
    return seen.items()


def _grouped_words(command: Command) -> list[str]:
    choices = [] if command.positional is None else list(command.positional.choices)
    return [*choices, *(each.spelled for each in command.options), *_GLOBALS]


def _runbook_words(command: Command) -> list[str]:
    return [*(str(each.runbook) for each in command.options if each.runbook), *_GLOBALS]


def _value_cases() -> dict[str, list[str]]:
    """Return, by the words that complete a value, the flags it follows; empty words mean paths."""
    cases: dict[str, list[str]] = {}
    for flag, parameter in _parameters():
        words = " ".join(parameter.choices) if parameter.kind != "path" else ""
        if parameter.kind in {"choice", "path"}:
            cases.setdefault(words, []).append(flag)
        else:
            cases.setdefault("-", []).append(flag)
    return cases


def _context_cases(indent: str) -> list[str]:
    """Return the arms of a shell's ``case`` from the words on the line to the candidates."""
    arms = [(command.runbook, _runbook_words(command)) for command in table.COMMANDS]
    lines = [f"{indent}*' {flag} '*) candidates='{' '.join(words)}' ;;" for flag, words in arms if flag]
    lines += [
        f"{indent}' {command.name} '*) candidates='{' '.join(_grouped_words(command))}' ;;"
        for command in table.COMMANDS
    ]
    for group in table.GROUPS:
        verbs = " ".join(command.verb for command in table.commands_of(group))
        lines.append(f"{indent}' {group} '*) candidates='{verbs}' ;;")
    return [*lines, f"{indent}*) candidates='{' '.join(_first_words())}' ;;"]


def _bash() -> str:
    lines = [
        '# Completion for bash: eval "$(quantlab completion bash)"',
        "_quantlab() {",
        '    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}"',
        "    local line=' ' word candidates position",
        "    for ((position = 1; position < COMP_CWORD; position++)); do",
        '        word="${COMP_WORDS[position]}"',
        '        line="$line$word "',
        "    done",
        '    case "$previous" in',
    ]
    for words, flags in _value_cases().items():
        if words == "-":
            action = "COMPREPLY=()"
        elif words:
            action = f"COMPREPLY=($(compgen -W '{words}' -- \"$current\"))"
        else:
            action = 'COMPREPLY=($(compgen -f -- "$current"))'
        lines.append(f"        {'|'.join(flags)}) {action}; return ;;")
    lines += [
        "    esac",
        '    case "$line" in',
        *_context_cases("        "),
        "    esac",
        '    COMPREPLY=($(compgen -W "$candidates" -- "$current"))',
        '    if [[ ${#COMPREPLY[@]} -eq 0 && "$current" != -* ]]; then',
        '        COMPREPLY=($(compgen -f -- "$current"))',
        "    fi",
        "}",
        "complete -o filenames -F _quantlab quantlab",
    ]
    return "\n".join(lines) + "\n"


def _zsh() -> str:
    lines = [
        "#compdef quantlab",
        '# Completion for zsh: eval "$(quantlab completion zsh)" after compinit',
        "_quantlab() {",
        '    local previous="${words[CURRENT-1]}" line=" " candidates word',
        '    for word in "${(@)words[2,CURRENT-1]}"; do line="$line$word "; done',
        '    case "$previous" in',
    ]
    for words, flags in _value_cases().items():
        action = "_message value" if words == "-" else f"compadd -- {words}" if words else "_files"
        lines.append(f"        {'|'.join(flags)}) {action}; return ;;")
    lines += [
        "    esac",
        '    case "$line" in',
        *_context_cases("        "),
        "    esac",
        "    compadd -- ${=candidates}",
        '    [[ "$PREFIX" == -* || "$line" == " " ]] || _files',
        "}",
        'if [[ "${funcstack[1]}" == _quantlab ]]; then _quantlab "$@"',
        "else compdef _quantlab quantlab; fi",
    ]
    return "\n".join(lines) + "\n"


def _fish() -> str:
    lines = [
        "# Completion for fish: quantlab completion fish | source",
        "function __quantlab_line",
        "    set -l words (commandline -opc)",
        '    echo " "(string join " " -- $words[2..-1])" "',
        "end",
        "function __quantlab_at",
        '    string match -q -- " $argv[1] *" (__quantlab_line)',
        "end",
        "function __quantlab_first",
        "    test (count (commandline -opc)) -eq 1",
        "end",
        "function __quantlab_flag",
        '    string match -q -- "* $argv[1] *" (__quantlab_line)',
        "end",
        "complete -c quantlab -f -n __quantlab_first",
    ]
    names = dict.fromkeys(command.name.split()[0] for command in table.COMMANDS)
    lines += [f"complete -c quantlab -f -n __quantlab_first -a {word}" for word in names]
    lines += [f"complete -c quantlab -l {each.flag[2:]} -d {_quoted(each.text)}" for each in table.GLOBAL_OPTIONS]
    for command in table.COMMANDS:
        lines += _fish_command(command)
    return "\n".join(lines) + "\n"


def _fish_command(command: Command) -> list[str]:
    here = f"-n '__quantlab_at \"{command.name}\"'"
    lines = []
    if command.group:
        group = f"-n '__quantlab_at {command.group}'"
        text = _quoted(command.summary)
        lines.append(f"complete -c quantlab -f {group} -a {command.verb} -d {text}")
    if command.positional is not None and command.positional.choices:
        words = " ".join(command.positional.choices)
        lines.append(f"complete -c quantlab -f {here} -a '{words}'")
    lines += [_fish_option(here, each.spelled, each) for each in command.options]
    if command.runbook is None:
        return lines
    there = f"-n '__quantlab_flag {command.runbook}'"
    first = "-n __quantlab_first"
    lines.append(_fish_option(first, command.runbook, command.positional, command.summary))
    lines += [_fish_option(there, str(each.runbook), each) for each in command.options]
    return lines


def _fish_option(where: str, flag: str, parameter: Parameter | None, text: str | None = None) -> str:
    line = f"complete -c quantlab {where} -l {flag[2:]}"
    if parameter is not None and parameter.kind == "path":
        line += " -r -F"
    elif parameter is not None and parameter.choices:
        line += f" -x -a '{' '.join(parameter.choices)}'"
    elif parameter is not None and parameter.kind != "switch":
        line += " -x"
    return f"{line} -d {_quoted(text or (parameter.help if parameter else ''))}"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
