"""Which of a provider's errors say something about it, in the words that providers have been seen to use."""

import json

import pytest

from shared.providers.failure_kinds import FailureKind
from shared.providers.failures import classify_error, classify_status, refusal_for

# (status, the error's text, what it is, where it was seen); text in which a client's own words are has them, too.
MODEL = "maker/model-1:free"
ABOUT_THE_REQUEST = [
    (404, "No endpoints found that support tool use. Try disabling \"question\".", FailureKind.UNSUPPORTED,
     "github.com/Kilo-Org/kilocode/issues/9006"),
    (404, "No endpoints found that support tool use. Try disabling \"model_not_found\".", FailureKind.UNSUPPORTED,
     "the same, with a tool that a client named so"),
    (404, "No endpoints found that support the provided 'tool_choice' value.", FailureKind.UNSUPPORTED,
     "github.com/zed-industries/zed/issues/36094"),
    (404, "No endpoints found that support image input", FailureKind.UNSUPPORTED,
     "github.com/NousResearch/hermes-agent/pull/23411"),
    (404, "No endpoints found that support the requested output modalities: image, text", FailureKind.UNSUPPORTED,
     "github.com/HKUDS/DeepTutor/issues/1348"),
    (404, "No endpoints found matching your data policy (Paid model training).", FailureKind.UNSUPPORTED,
     "github.com/unoplat/unoplat-code-confluence/issues/1080"),
    (404, "No endpoints available matching your guardrail restrictions and data policy.", FailureKind.UNSUPPORTED,
     "github.com/truefoundry/models/pull/826"),
    (503, "There is no available model provider that meets your routing requirements", FailureKind.UNSUPPORTED,
     "https://openrouter.ai/docs/api/errors"),
    (403, "The request is prohibited due to a violation of provider Terms Of Service.", FailureKind.UNSUPPORTED,
     "github.com/Davidvandijcke/coarse/issues/183"),
    (404, "Not Found", FailureKind.NOT_FOUND, "any server, for a path that it does not have"),
    (402, "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can only "
     "afford 30104.", FailureKind.UNAFFORDABLE, "github.com/can1357/oh-my-pi/issues/9569"),
    (402, "Prompt tokens limit exceeded: 230799 > 91442.", FailureKind.UNAFFORDABLE,
     "github.com/anomalyco/opencode/issues/12219"),
    (402, "Insufficient credits. Add credits, or lower max_tokens / prompt size to fit your remaining balance.",
     FailureKind.UNAFFORDABLE, "github.com/open-assistant-org/open-assistant/issues/80"),
    (402, "", FailureKind.UNAFFORDABLE, "nobody: what says nothing shuts nobody"),
    (403, "Input was flagged", FailureKind.CONTENT_FILTERED, "https://openrouter.ai/docs/api/errors"),
    (446, "Guardrail checks failed", FailureKind.CONTENT_FILTERED,
     "https://portkey.ai/docs/api-reference/inference-api/error-codes"),
    (412, "Budget exhausted", FailureKind.FORBIDDEN,
     "the same, and it is its answer to a prompt that a guardrail refuses"),
    (400, "This Model is Cold / Not Ready for Inference", FailureKind.MODEL_COLD,
     "https://featherless.ai/docs/api-reference-error-codes"),
    (400, "[{'type': 'float_parsing', 'msg': 'Input should be a valid number', 'input': 'model is cold'}]",
     FailureKind.MODEL_COLD, "github.com/vllm-project/vllm/issues/49239: what a client has written comes back"),
    (403, "<h1>Sorry, you have been blocked</h1>", FailureKind.FORBIDDEN, "github.com/OpenHands/OpenHands/issues/4480"),
    (404, "No endpoints found for maker/another.", FailureKind.NOT_FOUND, "nobody asked for that one"),
    (404, f"No endpoints found for {MODEL}. It says so.", FailureKind.NOT_FOUND, "a client that adds to the words"),
    (402, "Tool 'Insufficient credits' is unknown", FailureKind.UNAFFORDABLE, "a client that writes them"),
    *((status, "No", FailureKind.REFUSED, "any server") for status in (405, 409, 411, 415, 424, 428, 431, 451, 499)),
]  # fmt: skip
ABOUT_THE_PROVIDER = [
    (402, "Insufficient credits. This account never purchased credits.", FailureKind.ACCOUNT_EMPTY,
     "github.com/Gitlawb/openclaude/issues/43"),
    (402, "Insufficient credits. This account never purchased credits. Make sure your key is on the correct account or "
     "org, and if so, purchase more at https://openrouter.ai/settings/credits", FailureKind.ACCOUNT_EMPTY, "the same"),
    (403, "Key limit exceeded (total limit). Manage it using https://openrouter.ai/settings/keys",
     FailureKind.UNAUTHORISED, "github.com/MCPJam/inspector/issues/1287"),
    (402, "Insufficient credits. Add more using https://openrouter.ai/settings/credits", FailureKind.ACCOUNT_EMPTY,
     "github.com/hassanmsthf11/unlimited-claude-AI/issues/22"),
    (402, "Quota exceeded and account balance is $0.0, please pay with fiat or send tao", FailureKind.ACCOUNT_EMPTY,
     "Chutes"),
    (402, "Quota exceeded and account balance is $-0.059", FailureKind.ACCOUNT_EMPTY, "Chutes"),
    (404, f"No endpoints found for {MODEL}.", FailureKind.MODEL_GONE,
     "github.com/Shaivpidadi/FreeRide/issues/3"),
    (404, f"The model `{MODEL}` does not exist or you do not have access to it.", FailureKind.MODEL_GONE,
     "portkey.ai/error-library/model-access-error-10537"),
    (400, f"{MODEL} is not a valid model ID", FailureKind.MODEL_GONE, "OpenRouter"),
    (401, "", FailureKind.UNAUTHORISED, "https://featherless.ai/docs/api-reference-error-codes"),
    (403, "The model is gated", FailureKind.UNAUTHORISED, "https://featherless.ai/docs/api-reference-error-codes"),
    (503, "No valid Executor", FailureKind.OVERLOADED, "https://featherless.ai/docs/api-reference-error-codes"),
    (502, "Your chosen model is down", FailureKind.UNAVAILABLE, "https://openrouter.ai/docs/api/errors"),
]  # fmt: skip


def body_of(status: int, text: str) -> bytes:
    return json.dumps({"message": text, "code": status}).encode()


@pytest.mark.parametrize(("status", "text", "kind", "source"), ABOUT_THE_REQUEST)
def test_what_is_about_one_request_is_not_held_against_the_provider(
    status: int, text: str, kind: FailureKind, source: str
) -> None:
    failure = classify_status(status, {}, b'{"error":' + body_of(status, text) + b"}", MODEL)
    assert failure.kind is kind, source
    assert not failure.is_provider_at_fault
    # Another provider may take it, but for a prompt that is refused.
    assert failure.is_retryable_elsewhere is (kind is not FailureKind.CONTENT_FILTERED)


@pytest.mark.parametrize(("status", "text", "kind", "source"), ABOUT_THE_PROVIDER)
def test_what_would_meet_any_request_is_held_against_it(status: int, text: str, kind: FailureKind, source: str) -> None:
    failure = classify_status(status, {}, b'{"error":' + body_of(status, text) + b"}", MODEL)
    assert failure.kind is kind, source
    assert failure.is_provider_at_fault
    assert failure.is_retryable_elsewhere


@pytest.mark.parametrize(("status", "text", "kind", "source"), [*ABOUT_THE_REQUEST, *ABOUT_THE_PROVIDER])
def test_the_same_words_in_the_middle_of_a_stream_mean_the_same(
    status: int, text: str, kind: FailureKind, source: str
) -> None:
    assert classify_error(body_of(status, text), MODEL).kind is kind, source


@pytest.mark.parametrize(
    "error",
    [
        b'{"type":"BadRequestError"}',
        b'{"code":"string_above_max_length"}',
        b'{"code":"data_inspection_failed"}',
        b'{"message":"model is cold"}',
        b'"Insufficient credits"',
        b"{}",
    ],
)
def test_an_error_in_a_stream_that_says_nothing_of_the_provider_is_not_held_against_it(error: bytes) -> None:
    assert not classify_error(error, MODEL).is_provider_at_fault


@pytest.mark.parametrize("error", [b'{"code":500}', b'{"type":"server_error"}', b'{"type":"InternalServerError"}'])
def test_an_error_in_a_stream_that_is_the_server_s_is_held_against_it(error: bytes) -> None:
    assert classify_error(error, MODEL).is_provider_at_fault


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 20_000, b'{"error":{"error":{"error":{"message":"x"}}}}', b"17"])
def test_a_body_in_no_known_form_says_nothing(body: bytes) -> None:
    assert not classify_status(404, {}, body, MODEL).is_provider_at_fault


def test_who_asks_for_what_nobody_offers_is_told_so() -> None:
    told = refusal_for(classify_status(404, {}, b"No endpoints found that support tool use", MODEL))
    assert (told.status, told.code) == (400, "provider_rejected_request")
    assert "tools" in told.message
