import base64
import json
import struct
import zlib
from typing import Any

import pytest

from shared.core.money import Nanos
from shared.providers.images import Images, build_image_request, read_images, write_images
from shared.providers.openrouter import OPENROUTER
from shared.providers.portkey import PORTKEY
from shared.providers.raw_json import MalformedAnswer
from shared.providers.simulated_images import answer_images, draw_png

PICTURE = base64.b64encode(b"\x89PNG").decode()
# https://platform.openai.com/docs/api-reference/images/object: what a GPT image model answers.
OPENAI_GPT_IMAGE = (
    b'{"created":1713833628,"data":[{"b64_json":"iVBORw=="}],"background":"transparent","output_format":"png",'
    b'"size":"1024x1024","quality":"high","usage":{"total_tokens":100,"input_tokens":50,"output_tokens":50,'
    b'"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}'
)
# https://platform.openai.com/docs/api-reference/images/create: what DALL-E answers, an address for an hour.
OPENAI_DALL_E = (
    b'{"created":1589478378,"data":[{"url":"https://oaidalleapiprodscus.blob.core.windows.net/private/a.png?se=2024",'
    b'"revised_prompt":"A cute baby sea otter"}]}'
)
# https://openrouter.ai/docs/api/api-reference/images/create-images: usage under chat's names, and what it charged.
OPENROUTER_IMAGES = (
    b'{"created":1748372400,"data":[{"b64_json":"iVBORw==","media_type":"image/png"}],'
    b'"usage":{"prompt_tokens":0,"completion_tokens":4175,"total_tokens":4175,"cost":0.04,"is_byok":false,'
    b'"cost_details":{"upstream_inference_cost":null}}}'
)
# https://openrouter.ai/docs/api-reference/errors: a failure with status 200.
OPENROUTER_FAILED = b'{"error":{"code":502,"message":"upstream said: boom"}}'


def _read(body: bytes, *, count: int = 10, form: Any = None, is_cost_reported: bool = False) -> Images:
    return read_images(body, count=count, response_format=form, is_cost_reported=is_cost_reported)


def _written(answer: Images, **held: Any) -> dict[str, Any]:
    priced = write_images(answer, created_at_s=7, **{"size": None, "quality": None, **held})
    written = json.loads(priced.with_cost(Nanos(42_000_000)))
    assert isinstance(written, dict)
    return written


def _data(*data: Any) -> bytes:
    return json.dumps({"created": 1, "data": data}).encode()


def test_a_gpt_image_answer_is_passed_on_with_what_it_cost() -> None:
    assert _written(_read(OPENAI_GPT_IMAGE)) == {
        "created": 1713833628,
        "data": [{"b64_json": "iVBORw==", "media_type": "image/png"}],
        "background": "transparent",
        "output_format": "png",
        "quality": "high",
        "size": "1024x1024",
        "usage": {
            "input_tokens": 50,
            "output_tokens": 50,
            "total_tokens": 100,
            "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
            "images": 1,
            "cost": 0.042,
        },
    }


def test_an_image_by_its_address_is_passed_on_as_it_is() -> None:
    written = _written(_read(OPENAI_DALL_E), size="1024x1024", quality="hd")
    address = "https://oaidalleapiprodscus.blob.core.windows.net/private/a.png?se=2024"
    assert written["data"] == [{"url": address, "revised_prompt": "A cute baby sea otter"}]
    assert (written["size"], written["quality"], written["usage"]) == ("1024x1024", "hd", {"images": 1, "cost": 0.042})


def test_openrouter_s_usage_has_openai_s_names_and_its_cost_is_ours_to_know() -> None:
    answer = _read(OPENROUTER_IMAGES, is_cost_reported=True)
    assert answer.reported_cost_nanos == 40_000_000
    assert _written(answer)["usage"] == {
        "input_tokens": 0,
        "output_tokens": 4175,
        "total_tokens": 4175,
        "images": 1,
        "cost": 0.042,
    }
    assert _read(OPENROUTER_IMAGES).reported_cost_nanos is None


def test_a_failure_that_comes_as_a_success_is_told() -> None:
    answer = _read(OPENROUTER_FAILED)
    assert answer.images == ()
    assert answer.error == b'{"code":502,"message":"upstream said: boom"}'


def test_where_the_cost_is_not_known_none_is_named() -> None:
    priced = write_images(_read(OPENAI_DALL_E), created_at_s=7, size=None, quality=None)
    assert json.loads(priced.with_cost(None))["usage"] == {"images": 1}


@pytest.mark.parametrize(
    "datum",
    [
        None,
        5,
        [],
        {},
        {"b64_json": 5},
        {"b64_json": ""},
        {"b64_json": "not base64!"},
        {"b64_json": "iVBORw="},
        {"b64_json": "iVBO===="},
        {"b64_json": "iV=BORw="},
        {"b64_json": "iVBO-_=="},
        {"b64_json": "iVBO\nRw=="},
        {"b64_json": "é" * 4},
        {"url": ""},
        {"url": "http://example.com/a.png"},
        {"url": "javascript:alert(1)"},
        {"url": "file:///etc/passwd"},
        {"url": "https://example.com/a b.png\n"},
        {"url": "https://" + "x" * 9_000},
        {"url": "https://"},
        {"url": "https://?x"},
        {"url": "https:///a.png"},
        {"url": "https://example.com/a b.png"},
        {"url": "https://[example/a.png"},
        {"url": "https://example.com:port/a.png"},
        {"b64_json": base64.b64encode(b"<html>not found</html>").decode()},
        {"b64_json": base64.b64encode(b"<html>not found</html>").decode(), "media_type": "image/png"},
        {"b64_json": base64.b64encode(b"<html>not found</html>").decode(), "media_type": "text/html"},
        {"b64_json": base64.b64encode(b"RIFF\0\0\0\0WAVE").decode()},
    ],
)
def test_an_image_that_cannot_be_used_is_none(datum: Any) -> None:
    answer = _read(_data(datum, {"b64_json": PICTURE}))
    assert [image.b64_json for image in answer.images] == [PICTURE]


@pytest.mark.parametrize(
    ("head", "told", "media_type"),
    [
        (b"\x89PNG\r\n\x1a\n", None, "image/png"),
        (b"\xff\xd8\xff\xe0", None, "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", None, "image/webp"),
        (b"GIF89a", None, "image/gif"),
        (b"\xff\xd8\xff\xe0", "image/png", "image/jpeg"),
        (b"<svg xmlns=''></svg>", "image/svg+xml", "image/svg+xml"),
    ],
)
def test_an_image_is_called_what_it_is(head: bytes, told: str | None, media_type: str) -> None:
    data = base64.b64encode(head + b" and more").decode()
    body = _data({"b64_json": data, **({} if told is None else {"media_type": told})})
    written = _written(_read(body))
    assert written["data"] == [{"b64_json": data, "media_type": media_type}]
    assert written["output_format"] == media_type.removeprefix("image/").removesuffix("+xml")
    written = _written(_read(body, form="url"))
    assert written["data"] == [{"url": f"data:{media_type};base64,{data}"}]


def test_of_images_that_are_not_alike_no_format_is_told_but_by_each() -> None:
    pictures = [base64.b64encode(head).decode() for head in (b"\x89PNG\r\n", b"\xff\xd8\xff\xe0")]
    written = _written(_read(_data(*({"b64_json": picture} for picture in pictures))))
    assert [datum["media_type"] for datum in written["data"]] == ["image/png", "image/jpeg"]
    assert "output_format" not in written


@pytest.mark.parametrize("address", ["https://example.com", "https://a.example:8443/x.png?y=%20#z", "https://[::1]/a"])
def test_an_address_that_names_a_host_is_one(address: str) -> None:
    (image,) = _read(_data({"url": address})).images
    assert image.url == address


def test_no_more_images_are_passed_on_than_were_held_for() -> None:
    assert len(_read(_data(*[{"b64_json": PICTURE}] * 5), count=3).images) == 3


def test_an_image_in_both_forms_comes_in_the_one_that_is_asked_for() -> None:
    both = {"b64_json": PICTURE, "url": "https://example.com/a.png"}
    (image,) = _read(_data(both), form="b64_json").images
    assert (image.b64_json, image.url) == (PICTURE, None)
    (image,) = _read(_data(both), form="url").images
    assert (image.b64_json, image.url) == (None, f"data:image/png;base64,{PICTURE}")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"\xff", b'{"data":{}}', b'{"data":"x"}', b'{"data":[{"b64_json":"iVBORw=="}']
)
def test_what_is_no_answer_in_the_dialect_is_the_provider_s_fault(body: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        _read(body)


@pytest.mark.parametrize("told", [b"null", b"5", b"1e999", b"-1", b'"now"', b"[]", b'{"a":1}', b'"x y"', b"9" * 400])
def test_an_image_is_not_lost_for_what_is_told_about_it(told: bytes) -> None:
    names = (b"created", b"size", b"quality", b"output_format", b"background")
    facts = b",".join(b'"%s":%s' % (name, told) for name in names)
    written = _written(_read(b'{"data":[{"b64_json":"iVBORw=="}],' + facts + b"}"))
    created = 5 if told == b"5" else 7
    assert written == {
        "created": created,
        "data": [{"b64_json": "iVBORw==", "media_type": "image/png"}],
        **({name.decode(): "now" for name in names[1:]} if told == b'"now"' else {}),
        "output_format": "png",
        "usage": {"images": 1, "cost": 0.042},
    }


@pytest.mark.parametrize(
    "usage", [b"5", b'"x"', b'{"input_tokens":-1}', b'{"output_tokens":"many"}', b'{"total_tokens":99999999999999999}']
)
def test_tokens_that_cannot_be_are_not_shown(usage: bytes) -> None:
    body = b'{"created":1,"data":[],"usage":' + usage + b"}"
    assert _written(_read(body))["usage"] == {"images": 0, "cost": 0.042}


def test_a_request_names_the_size_and_quality_that_are_held_for_and_not_the_client_s() -> None:
    body = {"model": "m", "prompt": "p", "size": "auto", "quality": "auto", "n": 2, "models": ["x"], "user": None}
    sent = json.loads(build_image_request(body, provider=PORTKEY, upstream_model="up", size="1x1", quality="hd"))
    assert sent == {"model": "up", "prompt": "p", "n": 2, "size": "1x1", "quality": "hd"}
    sent = json.loads(build_image_request(body, provider=PORTKEY, upstream_model="up", size=None, quality=None))
    assert sent == {"model": "up", "prompt": "p", "n": 2}


def test_a_provider_is_sent_no_field_that_it_does_not_document() -> None:
    body = {"prompt": "p", "style": "vivid", "response_format": "url", "background": "opaque"}
    sent = json.loads(build_image_request(body, provider=OPENROUTER, upstream_model="up", size=None, quality=None))
    assert sent == {"model": "up", "prompt": "p", "background": "opaque"}


def test_half_an_emoji_in_a_prompt_is_sent_as_it_came() -> None:
    body = {"prompt": "\ud83d"}
    assert b'"\\ud83d"' in build_image_request(body, provider=PORTKEY, upstream_model="up", size=None, quality=None)


@pytest.mark.parametrize(
    ("size", "sides"),
    [
        ("1024x1024", (64, 64)),
        ("1792x1024", (64, 36)),
        ("16x8", (16, 8)),
        ("99999x1", (64, 1)),
        ("0x5", (64, 64)),
        ("2K", (64, 64)),
        ("1x2x3", (64, 64)),
        ("²x²", (64, 64)),
        (None, (64, 64)),
    ],
)
def test_a_simulated_image_has_the_proportion_asked_for_and_is_small(size: str | None, sides: tuple[int, int]) -> None:
    answer = json.loads(answer_images({"prompt": "p", "n": 10}, size))
    pictures = [base64.b64decode(datum["b64_json"], validate=True) for datum in answer["data"]]
    assert len(set(pictures)) == 10
    for picture in pictures:
        assert struct.unpack(">II", picture[16:24]) == sides
        assert len(picture) < 400


def test_a_simulated_image_is_a_png_whose_every_part_has_its_sum() -> None:
    picture = draw_png(3, 2, b"\x01\x02\x03")
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    parts, rest = {}, picture[8:]
    while rest:
        (length,) = struct.unpack(">I", rest[:4])
        kind, data = rest[4:8], rest[8 : 8 + length]
        assert struct.unpack(">I", rest[8 + length : 12 + length]) == (zlib.crc32(kind + data),)
        parts[kind], rest = data, rest[12 + length :]
    assert list(parts) == [b"IHDR", b"IDAT", b"IEND"]
    assert zlib.decompress(parts[b"IDAT"]) == (b"\x00" + b"\x01\x02\x03" * 3) * 2


def test_the_same_prompt_is_drawn_the_same_and_another_is_not() -> None:
    assert answer_images({"prompt": "a"}, None) == answer_images({"prompt": "a"}, None)
    assert answer_images({"prompt": "a"}, None) != answer_images({"prompt": "b"}, None)
