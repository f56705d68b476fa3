"""Why an answer ended, in Anthropic's words."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from shared.providers.messages.request import Echo

# The last row: as Portkey passes Anthropic's own words on, and other engines write theirs.
_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
    **{
        word: word
        for word in (
            "end_turn",
            "max_tokens",
            "stop_sequence",
            "tool_use",
            "pause_turn",
            "refusal",
            "model_context_window_exceeded",
        )
    },
}
# What Anthropic says and chat's own word hides.
_NATIVE_REASONS = frozenset({"stop_sequence", "pause_turn", "refusal", "model_context_window_exceeded"})
# A provider that repeats itself with one of these takes nothing back.
_WEAK_WORDS = frozenset({"stop", "end_turn", "eos"})


class Ended(NamedTuple):
    """What an answer says of its end."""

    stop_reason: str
    stop_sequence: str | None = None

    def fields(self) -> dict[str, Any]:
        """Return the three fields of a message that tell it."""
        refusal = {"type": "refusal", "category": None, "explanation": None}
        return {
            "stop_reason": self.stop_reason,
            "stop_sequence": self.stop_sequence,
            "stop_details": refusal if self.stop_reason == "refusal" else None,
        }


class StopSigns:
    """Collects what a choice says of its end, over all chunks that say something."""

    def __init__(self) -> None:
        self._word = ""
        self._native = ""
        self._matched: str | None = None

    def take(self, choice: Mapping[str, Any]) -> None:
        """Read a choice.

        source  docs.vllm.ai protocol (stop_reason: the stop sequence); sglang's matched_stop; OpenRouter's
                native_finish_reason
        """
        word = choice.get("finish_reason")
        if not isinstance(word, str) or not word:
            return
        if not self._word or word not in _WEAK_WORDS:
            self._word = word
        native = choice.get("native_finish_reason")
        if isinstance(native, str) and native in _NATIVE_REASONS:
            self._native = native
        for name in ("stop_reason", "matched_stop"):
            matched = choice.get(name)
            if isinstance(matched, str):
                self._matched = matched

    def ended(self, echo: Echo, *, has_calls: bool, is_refused: bool) -> Ended:
        """Say why the answer ended; has_calls: it has tool_use blocks; is_refused: its text is a refusal.

        policy  a word that is not known counts as end_turn; clients act on tool_use alone, so it is said when and only
                when there are calls, unless the answer was cut
        """
        reason = self._native or _REASONS.get(self._word, "end_turn")
        if is_refused:
            return Ended("refusal")
        if reason in ("end_turn", "tool_use", "stop_sequence") and has_calls:
            return Ended("tool_use")
        if reason == "tool_use":
            return Ended("end_turn")
        if reason == "stop_sequence" or (reason == "end_turn" and self._matched in echo.stop_sequences):
            return Ended("stop_sequence", self._sequence(echo))
        return Ended(reason)

    def _sequence(self, echo: Echo) -> str | None:
        """Return the sequence that matched, where it is told or can only be one."""
        if self._matched in echo.stop_sequences:
            return self._matched
        return echo.stop_sequences[0] if len(echo.stop_sequences) == 1 else None
