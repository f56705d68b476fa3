"""Searching stored chats: words, phrases and their absence, in any script, among one account's messages alone."""

import pytest

from tests.sql.books import Books
from tests.sql.chats import keeper, new_session, say, search
from tests.sql.customers import Customer


@pytest.fixture
def customer(books: Books) -> Customer:
    return keeper(books)


SPEECH = "the quick brown fox jumps; the lazy dog über-schläft at http://example.com/a?b=1"


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ("FOX dog", True), ('"quick brown"', True), ('"brown quick"', False), ("cat or fox", True), ("fox -dog", False),
        ("über", True), ("foxes", False), ("example.com", True), ("!!!", False), ("'' & | : * \\", False), ("-", False),
        ("account", False),
    ],
)  # fmt: skip
def test_words_phrases_and_their_absence_are_found(customer: Customer, query: str, is_found: bool) -> None:
    session_id = new_session(customer)
    say(customer, session_id, [{"type": "text", "text": SPEECH}, {"type": "image_url", "image_url": {"url": "data:x"}}])
    found = search(customer, query)
    assert found["verdict"] == "found"
    assert len(found["messages"]) == is_found
    assert all("quick" in each["snippet"] for each in found["messages"])


def test_no_words_of_a_text_make_it_another_account_s(books: Books, customer: Customer) -> None:
    other = keeper(books)
    session_id = new_session(customer)
    say(customer, session_id, f"'account {other.account_id}' account {other.account_id} quetzal")
    assert search(other, "quetzal")["messages"] == []
    assert len(search(customer, f"account {other.account_id}")["messages"]) == 1


@pytest.mark.parametrize("text", [
    " ".join(f"{number:x}" for number in range(45_000)),
    " ".join(chr(0x4E00 + number % 20_000) + chr(0x4E00 + number // 20_000) for number in range(37_000)),
    " ".join(f"{number:x}-{number:x}x" for number in range(20_000)),
    " ".join(f"a{number:x}.io/{number:x}" for number in range(17_000)),
    "w" * 250_000,
    "\u0001\u2028\ufeff" * 20_000,
    "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(85_000)),
    "".join(chr(0x20000 + number * 7919 % 40_000) for number in range(64_000)),
    "/".join(f"{number:x}.py" for number in range(28_000)),
])  # fmt: skip
def test_no_text_that_fits_is_too_much_for_the_index(customer: Customer, text: str) -> None:
    session_id = new_session(customer)
    assert say(customer, session_id, f"quetzal {text}")["verdict"] == "message"
    assert [each["session_id"] for each in search(customer, "quetzal", limit=1)["messages"]] == [session_id]


def test_a_search_is_read_page_by_page_newest_first(customer: Customer) -> None:
    session_id = new_session(customer)
    ids = [say(customer, session_id, f"quetzal {number}")["message"]["id"] for number in range(5)]
    found = [each["id"] for each in search(customer, "quetzal", limit=3)["messages"]]
    found += [each["id"] for each in search(customer, "quetzal", limit=3, before=found[-1])["messages"]]
    assert found == ids[::-1]


SCRIPTS = [
    "今天天气很好。我们去公园散步。", "東京は日本の首都です。", "ฉันรักภาษาไทย", "한국어를 배워요", "Привет, «МИР»",
    "Straße ÖL",
    "買了iPhone手機 yesterday", "see src/main.py and https://example.com/docs/api?page=1", "user_name foo-bar",
    "is “stopped”", "if a<limit and b>most: raise", "write to ada.king@example.org", r"C:\logs\old.txt is gone",
]  # fmt: skip


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("天气", [0]), ("今天 公园", [0]), ("气", [0]), ("天气好", []), ("-天气 散步", []), ('"很好 散步"', [0]),
        ("公园 or 首都", [0, 1]), ("yesterday or -手機 首都", [1, 6]), ("首都", [1]), ("日本の首都", [1]), ("都首", []),
        ("ภาษา", [2]), ("ไทย", [2]), ("한국어", [3]), ("привет", [4]), ("мир", [4]), ("öl", [5]),
        ("iphone", [6]), ("手機", [6]), ("iPhone手機", [6]), ("iPhone首都", []),
        ("main.py", [7]), ("src/main.py", [7]), ("main", [7]), ("-zzz main", [7]), ("docs", [7]), ("/docs/", [7]),
        ("docs/api", [7]), ("example.com", [7]), ("page=1", [7]), ("pages", []),
        ("user_name", [8]), ("name", [8]), ("bar", [8]), ("foo-bar", [8]), ("stopped", [9]), ("stop", []),
        ("limit", [10]), ("most", [10]), ("a:*b & | ! <->", [10]), ("ada", [11]), ("king", [11]), ("example.org", [11]),
        ("ada.king@example.org", [11]), ("old.txt", [12]), ("logs", [12]),
        ("or", []), ("or or", []), ('"', []), ("'", []), ("account", []),
    ],
)  # fmt: skip
def test_words_are_found_in_scripts_without_spaces_and_in_names(
    customer: Customer, query: str, places: list[int]
) -> None:
    session_id = new_session(customer)
    for text in SCRIPTS:
        say(customer, session_id, text)
    found = search(customer, query)
    assert found["verdict"] == "found"
    assert sorted(SCRIPTS.index(each["snippet"]) for each in found["messages"]) == places


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("filler " * 12_000 + "needle " + "more " * 12_000, "needle"),
        ("filler " * 9_000 + "Two Words. And so on.", '"two words"'),
        ("filler " * 9_000 + "src/needle.py", "needle.py"),
        ("水" * 40_000 + "天气" + "火" * 30_000, "天气"),
        ("needles " * 9_000 + "needle", "needle"), ("filler " * 9_000 + "c++ (the needle)", "missing or needle"),
    ],
)  # fmt: skip
def test_a_snippet_shows_what_was_found_wherever_it_stands(customer: Customer, text: str, query: str) -> None:
    session_id = new_session(customer)
    assert say(customer, session_id, text)["verdict"] == "message"
    (found,) = search(customer, query)["messages"]
    word = query.rpartition(" or ")[2].strip('"').lower()
    assert word in found["snippet"].lower().replace("needles", "")
    assert found["snippet"].startswith("… ")
    assert len(found["snippet"]) <= 260


def test_the_first_and_the_last_words_of_a_text_have_no_dots_before_or_behind_them(customer: Customer) -> None:
    session_id = new_session(customer)
    say(customer, session_id, "first " + "filler " * 100 + "last")
    assert search(customer, "first")["messages"][0]["snippet"].startswith("first filler ")
    assert search(customer, "last")["messages"][0]["snippet"].endswith(" filler last")
