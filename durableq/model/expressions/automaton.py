"""Runs a pattern over a text in time proportional to the text, whatever the pattern: Thompson's construction, made
deterministic as it runs.

A pattern becomes a graph of instructions. Searching keeps the set of places in the graph that the text so far may have
led to; that set and what came before make a state, and each state remembers where a character led. So a text costs one
look-up per character once its states are known. The memory of states is bounded and begins afresh when full.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from durableq.model.expressions.charsets import CharSet, is_word
from durableq.model.expressions.limits import PATTERN_CHARS_MAX, PATTERN_STATES_MAX
from durableq.model.expressions.patterns import Check, Choice, Part, PatternError, Repeat, Sequence, parse_pattern

_MOVES_MAX = 5_000
_EMITS_MAX = 4 * PATTERN_STATES_MAX


@dataclass(frozen=True, slots=True)
class _Take:
    """Consume a character of the set, then go on."""

    chars: CharSet
    following: int


@dataclass(frozen=True, slots=True)
class _Fork:
    """Go on at both places."""

    following: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _At:
    """Go on where the place between two characters is of this sort."""

    place: str
    following: int


_MATCHED = 0  # the instruction that ends every pattern
_Instruction = _Take | _Fork | _At | None


class _State:
    """Where a text may have led: places in the graph, and the sort of its last character."""

    __slots__ = ("before", "moves", "places")

    def __init__(self, places: frozenset[int], before: str) -> None:
        self.places = places
        self.before = before
        self.moves: dict[str, _State] = {}


class Pattern:
    """A compiled pattern. Safe to share between threads: its memory only ever gains what is true of the pattern."""

    def __init__(self, program: list[_Instruction], start: int) -> None:
        self._program = program
        self._start = start
        places = {instruction.place for instruction in program if isinstance(instruction, _At)}
        self._sees_words = bool(places & {"boundary", "inside"})
        self._sees_lines = "line_start" in places
        self._matched = _State(frozenset(), "matched")
        self._states: dict[tuple[frozenset[int], str], _State] = {}
        self._moves = 0

    @property
    def size(self) -> int:
        """How many instructions it has; compiling and stepping cost in proportion."""
        return len(self._program)

    def search(self, text: str, charge: Callable[[int], None]) -> bool:
        """Whether the pattern matches anywhere in the text. Pays for the work through `charge`."""
        charge(len(text))
        matched = self._matched
        state = self._state(frozenset(), "start")
        for character in text:
            state = state.moves.get(character) or self._step(state, character, charge)
            if state is matched:
                return True
        return self._step(state, "", charge) is matched

    def _step(self, state: _State, character: str, charge: Callable[[int], None]) -> _State:
        """Where a character leads from a state. The end of the text is ""."""
        charge(20 + 5 * len(state.places))
        takes: list[_Take] = []
        ahead = [*state.places, self._start]
        seen = set(ahead)
        while ahead:
            place = ahead.pop()
            instruction = self._program[place]
            following: tuple[int, ...] = ()
            if instruction is None:
                return self._remember(state, character, self._matched)
            if isinstance(instruction, _Fork):
                following = instruction.following
            elif isinstance(instruction, _At):
                following = (instruction.following,) if _holds(instruction.place, state.before, character) else ()
            else:
                takes.append(instruction)
            ahead.extend(place for place in following if place not in seen)
            seen.update(following)
        charge(5 * len(takes) + 2 * len(seen))
        reached = frozenset(take.following for take in takes if character and take.chars.takes(character))
        return self._remember(state, character, self._state(reached, self._sort(character)))

    def _remember(self, state: _State, character: str, move: _State) -> _State:
        if self._moves >= _MOVES_MAX:
            self._moves = 0
            self._states.clear()
            state.moves.clear()
        self._moves += 1
        state.moves[character] = move
        return move

    def _state(self, places: frozenset[int], before: str) -> _State:
        state = self._states.get((places, before))
        if state is None:
            state = self._states[places, before] = _State(places, before)
        return state

    def _sort(self, character: str) -> str:
        """The sort of a character, as far as this pattern minds: fewer sorts make fewer states."""
        if self._sees_words and is_word(character):
            return "word"
        return "line" if self._sees_lines and character == "\n" else "other"


def _holds(place: str, before: str, after: str) -> bool:
    match place:
        case "text_start":
            return before == "start"
        case "line_start":
            return before in ("start", "line")
        case "text_end":
            return after == ""
        case "line_end":
            return after in ("", "\n")
        case _:
            return ((before == "word") is not is_word(after)) is (place == "boundary")


class _Compiler:
    """Writes a pattern's instructions back to front, so that each knows what follows it."""

    def __init__(self) -> None:
        self.program: list[_Instruction] = [None]
        self._emits = 0

    def emit(self, part: Part, following: int) -> int:
        """Add a part that goes on at `following`; gives the place where it begins."""
        self._emits += 1
        if self._emits > _EMITS_MAX:
            self._refuse()
        match part:
            case CharSet():
                return self._add(_Take(part, following))
            case Check():
                return self._add(_At(part.place, following))
            case Sequence():
                for piece in reversed(part.parts):
                    following = self.emit(piece, following)
                return following
            case Choice():
                first, *others = (self.emit(option, following) for option in part.options)
                for other in others:
                    first = self._add(_Fork((first, other)))
                return first
            case Repeat():
                return self._repeat(part, following)

    def _repeat(self, repeat: Repeat, following: int) -> int:
        if repeat.high is None:
            loop = self._add(None)
            self.program[loop] = _Fork((self.emit(repeat.part, loop), following))
            following = loop
        else:
            after = following
            for _ in range(repeat.high - repeat.low):
                following = self._add(_Fork((self.emit(repeat.part, following), after)))
        for _ in range(repeat.low):
            following = self.emit(repeat.part, following)
        return following

    def _add(self, instruction: _Instruction) -> int:
        if len(self.program) >= PATTERN_STATES_MAX:
            self._refuse()
        self.program.append(instruction)
        return len(self.program) - 1

    def _refuse(self) -> None:
        raise PatternError(f"its repetitions make more than {PATTERN_STATES_MAX:,} steps")


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> Pattern:
    """A pattern, ready to search with.

    Raises:
        PatternError: it is too long or too large, or not RE2 syntax.
    """
    if len(pattern) > PATTERN_CHARS_MAX:
        raise PatternError(f"it is longer than {PATTERN_CHARS_MAX:,} characters")
    compiler = _Compiler()
    start = compiler.emit(parse_pattern(pattern), _MATCHED)
    return Pattern(compiler.program, start)
