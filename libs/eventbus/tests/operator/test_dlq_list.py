import re
from dataclasses import replace

import pytest

from libs.eventbus.tests.operating import Operator, ended, letter, process
from libs.eventbus.tests.support import unique


def test_the_list_says_of_each_letter_what_went_wrong_and_counts_them_by_error(operator: Operator) -> None:
    operator.put(
        letter("o-1", original="orders"), letter("o-2", original="orders", error_type=b"eventbus.errors.Transient")
    )
    operator.put(letter("o-3", original="orders"), partition=2)
    answer = operator.dlq("list")
    heading, *rows, summary = answer.out.splitlines()

    assert answer.exit_code == 0
    assert heading.split("  ")[0] == "TOPIC"
    assert sorted(re.split(r" {2,}", row)[1:] for row in rows) == [
        ["0:0", "o-1", "5", "2026-11-23T01:45:17", "orders", "Poison: total: Field required"],
        ["0:1", "o-2", "5", "2026-11-23T01:45:17", "orders", "Transient: total: Field required"],
        ["2:0", "o-3", "5", "2026-11-23T01:45:17", "orders", "Poison: total: Field required"],
    ]
    assert summary == "3 letters: 2 Poison, 1 Transient"


def test_as_json_each_letter_is_an_object_with_the_trace_that_it_belongs_to(operator: Operator) -> None:
    key, value, headers = letter("o-1", original="orders")
    operator.put((key, value, [*headers, ("traceparent", f"00-{'4b' * 16}-{'2' * 16}-01".encode())]))
    answer = operator.dlq("list", "--json")

    assert answer.json == [
        {
            "topic": operator.letters,
            "partition": 0,
            "offset": 0,
            "order": "o-1",
            "error_type": "Poison",
            "error_message": "total: Field required",
            "attempts": 5,
            "first_failed_at": "2026-11-23T01:45:17.123456+00:00",
            "original_topic": "orders",
            "trace_id": "4b" * 16,
            "done": None,
            "done_at": None,
        }
    ]


def test_letters_are_chosen_by_order_by_error_type_and_by_offset(operator: Operator) -> None:
    for partition in (0, 1):
        operator.put(
            letter(f"o-{partition}", original="orders"),
            # As written before names had their module, and since then.
            letter(
                f"p-{partition}", original="orders", error_type=(b"Transient", b"eventbus.errors.Transient")[partition]
            ),
            letter("twice", original="orders"),
            partition=partition,
        )

    for arguments, found in {
        ("--order", "o-1"): ["o-1"],
        ("--order", "twice"): ["twice", "twice"],
        ("--order", "o-0", "--order", "p-1"): ["o-0", "p-1"],
        ("--error-type", "Transient"): ["p-0", "p-1"],
        ("--error-type", "eventbus.errors.Transient"): ["p-1"],
        ("--error-type", "Transient", "--order", "p-0"): ["p-0"],
        ("--offset", "1:0"): ["o-1"],
        ("--offset", "1:0", "--offset", "0:2"): ["o-1", "twice"],
        ("--offset", "1:0", "--order", "o-0"): [],
        ("--offset", "2:0"): [],
        ("--offset", "0:99"): [],
    }.items():
        assert sorted(operator.listed(*arguments)) == found, arguments


def test_without_a_group_the_letters_of_all_groups_are_listed(operator: Operator) -> None:
    other = replace(operator, group=unique("billing")).create_letters()
    operator.run(operator.kafka.topic("no.dlq.topic"))
    for each in (operator, other):
        each.put(letter(order := "o-of-all", original="orders"))
    of_all = operator.eventbus("dlq", "list", "--json", "--order", order).json
    of_one = operator.eventbus("dlq", "list", "--json", "--topic", other.letters).json

    assert {each["topic"] for each in of_all} == {operator.letters, other.letters}
    assert [each["topic"] for each in of_one] == [other.letters]


def test_where_nothing_matches_the_exit_code_says_so(operator: Operator) -> None:
    none_at_all = operator.dlq("list")
    operator.put(letter("o-1", original="orders"))
    none_of_that_name = operator.dlq("redrive", "--order", "o-2")

    for answer in (none_at_all, none_of_that_name):
        assert (answer.exit_code, answer.out, answer.err) == (1, "", "no letter matches\n")


def test_one_letter_is_shown_with_its_headers_and_with_its_value_only_where_that_is_asked_for(
    operator: Operator,
) -> None:
    operator.put(letter("o-1", original="orders"), letter("o-2", original="orders"))
    page = (operator.dlq("show", "--order", "o-2")).out
    with_value = (operator.dlq("show", "--order", "o-2", "--value")).out
    (as_json,) = (operator.dlq("show", "--offset", "0:1", "--json")).json
    (as_json_with_value,) = (operator.dlq("show", "--offset", "0:1", "--json", "--value")).json

    assert page.splitlines()[:2] == [f"{operator.letters} 0:1", "  order: o-2"]
    assert "  ce_id: e-o-2\n" in page and "  dlq.error-message: total: Field required\n" in page
    assert "19.90" not in page and re.search(r"value: \d+ bytes \(--value shows them\)", page)
    assert '  value: {"order_id":"o-2","total":"19.90"}' in with_value
    assert ["ce_id", "e-o-2"] in as_json["headers"] and "value" not in as_json
    assert as_json_with_value["value"] == '{"order_id":"o-2","total":"19.90"}'


def test_what_anybody_may_have_written_into_a_letter_does_not_steer_the_terminal(operator: Operator) -> None:
    evil = b"\x1b[2J\xff\nx"
    operator.put(
        letter("o-1", original="orders", key=evil, error_message=b"\x1b[2J\nx"), (None, b"", [("\x1b\n", evil)])
    )
    listed, shown = operator.dlq("list"), operator.dlq("show", "--all", "--value")
    as_json = operator.dlq("show", "--all", "--value", "--json")

    assert "\x1b" not in listed.out + shown.out + as_json.out
    assert len(listed.out.splitlines()) == 4
    assert "\\x1b[2J" in listed.out
    assert [each["order"] for each in as_json.json] == [{"base64": "G1sySv8KeA=="}, None]


def test_a_reader_that_has_seen_enough_is_no_error_that_anybody_must_read(operator: Operator) -> None:
    operator.put(*(letter(f"o-{number}", original="orders") for number in range(3000)))
    with process(operator.kafka.broker, "dlq", "list", "--group", operator.group) as listing:
        assert listing.stdout and listing.stderr
        listing.stdout.readline()
        listing.stdout.close()
        err = listing.stderr.read()

    assert err == ""


WRONG = {
    "no topic": (["list", "--group", "nobody"], "there is no topic nobody.dlq"),
    "both": (["list", "--group", "a", "--topic", "b"], "either --group or --topic"),
    "no group": (["show", "--offset", "0:1"], "--offset needs --group or --topic"),
    "no offset": (["show", "--group", "a", "--offset", "1"], "'1' is not PARTITION:OFFSET, like 0:17"),
    "no choice": (["redrive", "--group", "a"], "all of them by --all"),
    "no choice to purge": (["purge"], "all of them by --all"),
    "no choice to show": (["show"], "all of them by --all"),
    "all and some": (["purge", "--all", "--order", "o-1"], "all of them by --all"),
    "no such command": (["revive"], "No such command"),
}


@pytest.mark.parametrize("case", WRONG)
def test_who_asks_wrongly_is_told_what_is_wrong(operator: Operator, case: str) -> None:
    arguments, text = WRONG[case]
    answer = operator.eventbus("dlq", *arguments)

    assert answer.exit_code == 2
    assert text in answer.err


@pytest.mark.parametrize(
    ("servers", "text"),
    [
        ("", "KAFKA_BOOTSTRAP_SERVERS is missing: brokers, like 127.0.0.1:9092"),
        ("nonsense", "KAFKA_BOOTSTRAP_SERVERS is wrong (String should match pattern '^[^:]+:\\d+'): brokers, like"),
        ("127.0.0.1:1", "Error: the broker at 127.0.0.1:1 does not answer (KafkaConnectionError)"),
    ],
)
def test_without_a_broker_one_line_says_so(servers: str, text: str) -> None:
    with process(servers, "dlq", "list") as listing:
        answer = ended(listing)

    assert (answer.exit_code, answer.out, len(answer.err.splitlines())) == (2, "", 1)
    assert answer.err.startswith(text)
