"""Judging by eye: only who has signed in can write, and what they said reaches the catalogue's views."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from pathlib import Path

import duckdb
import pytest

from becat.models.training.training_data import labelled_from_catalogue
from becat.pipeline import Configuration, run_pipeline
from becat.publish import inspection, site, slowdown
from becat.publish.plugins import inspecting
from becat.simulate.survey import write_survey
from tests.tools.made_once import site_of_its_own

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    return site_of_its_own(tmp_path_factory, n_stars=60) / "catalog.duckdb"


@pytest.fixture(scope="module")
def published(catalogue):
    return catalogue.with_suffix(".sqlite")


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.sqlite"
    inspection.add_inspector(path, "ada", PASSWORD)
    inspection.add_inspector(path, "bo", PASSWORD + "2")
    return path


@pytest.fixture
def visit(published, labels):
    yield from visitor(published, labels)


def visitor(snapshot_path, labels):
    """A visitor with a cookie jar of their own: visit(path, data) -> response; POST where there are data."""
    datasette = site.create(snapshot_path, labels=labels)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(datasette.invoke_startup())
    jar = {}

    def ask(path, data=None):
        method = "GET" if data is None else "POST"
        response = loop.run_until_complete(datasette.client.request(method, path, data=data, cookies=dict(jar)))
        jar.update(response.cookies)
        return response

    ask.jar = jar
    yield ask
    loop.close()


def token(page):
    return re.search(r'name="csrftoken" value="([^"]+)"', page).group(1)


def sign_in(visit, name="ada", password=PASSWORD):
    page = visit("/inspect").text
    return visit("/inspect/sign-in", {"csrftoken": token(page), "name": name, "password": password})


def count(labels):
    return sqlite3.connect(labels).execute("select count(*) from inspection").fetchone()[0]


def test_a_person_signs_in_judges_and_sees_the_next_star(visit, labels):
    assert sign_in(visit).status_code == 302
    page = visit("/inspect").text
    first = int(re.search(r'name="star_id" value="(\d+)"', page).group(1))
    assert "Probability of Be:" not in page  # blind at first
    assert "Probability of Be:" in visit(f"/inspect?star={first}&blind=0").text
    said = {
        "csrftoken": token(page),
        "star_id": first,
        "verdict": "be",
        "profile_class": "emission",
        "comment": "<b>strong</b>",
    }
    assert visit("/inspect/judge", said).status_code == 302
    page = visit("/inspect").text
    assert f'name="star_id" value="{first}"' not in page
    assert re.search(r"1 of \d+ candidates judged", page)
    assert f'<a href="?star={first}">judge the last one again</a>' in page
    assert f'name="star_id" value="{first}"' in visit(f"/inspect?star={first}").text
    assert f'<a href="/inspect?star={first}">judge this star</a>' in visit(f"/star/{first}").text
    assert count(labels) == 1


def test_nobody_else_can_write(visit, labels):
    for name, password in (("ada", "wrong password"), ("nobody", PASSWORD), ("", ""), ("ada' or 1=1 --", PASSWORD)):
        assert sign_in(visit, name, password).status_code == 403
    page = visit("/inspect").text
    assert visit("/inspect/judge", {"csrftoken": token(page), "star_id": 10000, "verdict": "be"}).status_code == 403
    assert count(labels) == 0
    sign_in(visit)
    assert visit("/inspect/judge", {"star_id": 10000, "verdict": "be"}).status_code == 403  # without the token
    assert visit("/inspect/judge", {"csrftoken": "made up", "star_id": 10000, "verdict": "be"}).status_code == 403
    assert visit("/inspect/judge?star_id=10000&verdict=be").status_code == 404  # by a link
    assert count(labels) == 0
    visit.jar["becat_session"] = "A" * 43
    page = visit("/inspect").text
    assert visit("/inspect/judge", {"csrftoken": token(page), "star_id": 10000, "verdict": "be"}).status_code == 403
    assert count(labels) == 0


def test_after_wrong_passwords_a_person_waits_and_the_right_one_is_not_tried(visit, monkeypatch):
    monkeypatch.setattr(inspecting, "WRONG_PASSWORD_S", 0)
    said = [sign_in(visit, "ada", f"wrong password {i}").status_code for i in range(7)]
    assert said == [403] * 5 + [429] * 2
    refused = sign_in(visit, "Ada ")
    assert refused.status_code == 429 and 0 < int(refused.headers["retry-after"]) <= 2
    assert "try again in" in refused.text
    assert sign_in(visit, "bo", PASSWORD + "2").status_code == 302  # others from this address may still come in


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


def test_waits_double_up_to_a_minute_for_an_account_at_an_address_and_are_forgotten():
    clock = Clock()
    tries = slowdown.Slowdown(clock)
    waits = []
    for _ in range(13):
        waits.append(tries.begin("ada", "192.0.2.1"))
        clock.seconds += waits[-1]
        if waits[-1]:
            assert tries.begin("ada", "192.0.2.1") == 0
    assert waits == [0] * 5 + [2, 4, 8, 16, 32, 60, 60, 60]
    clock.seconds += 60
    assert tries.begin("ada", "192.0.2.1") == 0
    tries.succeeded("ada", "192.0.2.1")
    assert [tries.begin("ada", "192.0.2.1") for _ in range(5)] == [0] * 5
    clock.seconds += slowdown.FORGET_S
    assert tries.begin("ada", "192.0.2.1") == 0


def test_who_guesses_does_not_keep_the_owner_out():
    clock = Clock()
    tries = slowdown.Slowdown(clock)
    for i in range(200):
        tries.begin("ada", f"198.51.100.{i}")
        tries.begin("ada", "192.0.2.1")
    assert tries.begin("ada", "192.0.2.1") > 0
    assert tries.begin("ada", "203.0.113.5") == 0  # from another address
    assert tries.begin("ada", "192.0.2.1", "known") == 0  # from the same one, with a browser that is known
    tries.succeeded("ada", "192.0.2.1", "known")
    stolen = [tries.begin("ada", "192.0.2.1", "known") == 0 for _ in range(9)]
    assert stolen == [True] * 5 + [False] * 4


def test_an_address_that_tries_many_names_waits_and_the_memory_is_bounded():
    clock = Clock()
    tries = slowdown.Slowdown(clock)
    passed = [tries.begin(f"name {i}", f"2001:db8::{i:x}") == 0 for i in range(100)]
    assert passed == [True] * 20 + [False] * 80  # one network of IPv6 is one address
    assert tries.begin("ada", "192.0.2.7") == 0
    for i in range(3 * slowdown.KEPT_MAX):
        tries.begin(f"name {i}", f"10.{i >> 16}.{(i >> 8) & 255}.{i & 255}")
    assert len(tries) <= slowdown.KEPT_MAX


def test_signing_in_needs_a_page_from_here_also_without_a_cookie(visit, labels):
    said = {"name": "ada", "password": PASSWORD}
    assert visit("/inspect/sign-in", said).status_code == 403
    assert visit("/inspect/sign-in", {**said, "csrftoken": "made up"}).status_code == 403
    stranger = token(visit("/inspect").text)
    visit.jar.clear()
    assert visit("/inspect/sign-in", {**said, "csrftoken": stranger}).status_code == 403
    assert "becat_session" not in visit.jar
    assert sign_in(visit).status_code == 302 and "becat_session" in visit.jar


def test_a_sign_in_ends_with_the_button_a_new_password_the_person_and_time(visit, labels, monkeypatch):
    def is_in():
        return "Sign out" in visit("/inspect").text

    def leave():
        visit("/inspect/sign-out", {"csrftoken": token(visit("/inspect").text)})

    sign_in(visit)
    stolen = visit.jar["becat_session"]
    assert is_in() and stolen.encode() not in labels.read_bytes()
    leave()
    visit.jar["becat_session"] = stolen
    assert not is_in()
    sign_in(visit)
    inspection.add_inspector(labels, "ada", PASSWORD + " new")
    assert not is_in()
    sign_in(visit, password=PASSWORD + " new")
    assert is_in()
    with sqlite3.connect(labels) as connection:
        connection.execute("delete from inspector where name = 'ada'")
    assert not is_in()
    answer = sign_in(visit, "bo", PASSWORD + "2")
    assert f"Max-Age={inspection.SESSION_S}" in answer.headers["set-cookie"] and is_in()
    now = inspection.time.time()
    monkeypatch.setattr(inspection.time, "time", lambda: now + inspection.SESSION_S + 1)
    assert not is_in()


def test_datasettes_own_cookies_and_tokens_let_nobody_in(published, labels):
    datasette = site.create(published, labels=labels)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(datasette.invoke_startup())
    cookie = datasette.sign({"a": {"id": "ada"}}, "actor")
    key = "dstok_" + datasette.sign({"a": "ada", "token": "dstok", "t": 1_790_000_000}, "token")
    for sent in ({"cookies": {"ds_actor": cookie}}, {"headers": {"authorization": f"Bearer {key}"}}):
        assert "Sign out" not in loop.run_until_complete(datasette.client.get("/inspect", **sent)).text
        assert "ada" not in loop.run_until_complete(datasette.client.get("/-/actor.json", **sent)).text
    loop.close()


@pytest.mark.parametrize(
    "path", ["/inspect/sign-in", "/inspect/judge", "/inspect/sign-out", "/inspect", "/-/logout", "/catalog"]
)
def test_what_is_posted_is_bounded_and_read_with_care(published, labels, path):
    datasette = site.create(published, labels=labels)
    form = {"content-type": "application/x-www-form-urlencoded"}

    async def post(content, headers):
        return (await datasette.client.post(path, content=content, headers=headers)).status_code

    async def endless():
        for _ in range(1000):
            yield b"name=" + b"a" * 100_000

    async def ask():
        await datasette.invoke_startup()
        return [
            await post(b"name=" + b"a" * 100_000, form),
            await post(endless(), form),
            await post(b"name=\xff", form),
            await post(b"{}", {"content-type": "application/json"}),
            await post(b"x", {"content-type": "multipart/form-data", "cookie": "a=b"}),
            await post(b"name=a", form | {"cookie": b"a=\xff"}),
        ]

    found = asyncio.run(ask())
    closed = path in ("/-/logout", "/catalog")
    assert all(status in (400, 403, 404, 405, 413, 415, 200) for status in found), found
    assert found[:5] == ([405] * 5 if closed else [413, 413, 400, 415, 415])


def test_senseless_judgements_are_refused(visit, labels):
    sign_in(visit)
    csrf = token(visit("/inspect").text)
    for said in (
        {"star_id": "1", "verdict": "be"}, {"star_id": "x", "verdict": "be"}, {"star_id": "10000", "verdict": "maybe"},
        {"star_id": "10000"}, {"star_id": "10000", "verdict": "be", "profile_class": "nova"},
        {"star_id": "10000", "verdict": "be", "shell_type": "7"}, {"star_id": "9" * 40, "verdict": "be"},
        {"star_id": "9" * 5000, "verdict": "be"}, {"star_id": "²", "verdict": "be"}, {"star_id": "1_0000", "verdict": "be"},
        {"star_id": "10000", "verdict": "be", "spectrum_id": "-1"}, {"star_id": "10000", "verdict": "be", "spectrum_id": "x"},
    ):  # fmt: skip
        assert visit("/inspect/judge", {"csrftoken": csrf, **said}).status_code == 400, said
    assert count(labels) == 0


def test_without_a_file_of_people_there_is_no_sign_in(published):
    datasette = site.create(published)

    async def ask():
        await datasette.invoke_startup()
        return await datasette.client.get("/inspect")

    assert asyncio.run(ask()).status_code == 404


def test_judgements_reach_the_views_of_the_catalogue_once(catalogue, labels):
    with duckdb.connect(str(catalogue)) as connection:
        star = connection.execute("select star_id from be_candidate limit 1").fetchone()[0]
        inspection.judge(labels, "ada", star, True)
        inspection.judge(labels, "ada", star, False, comment="on second thoughts")
        connection.execute("begin")
        assert inspection.take_in(connection, labels, run_id=1) == 2
        assert inspection.take_in(connection, labels, run_id=1) == 0
        assert connection.execute("select count(*) from be_candidate where star_id = ?", [star]).fetchone() == (0,)
        connection.execute("rollback")


def test_agreement_is_cohens_kappa(labels):
    # The example of Cohen's kappa with 20 and 15 agreements, 5 and 10 disagreements: kappa = 0.4.
    star = 0
    for n, ada, bo in ((20, True, True), (5, True, False), (10, False, True), (15, False, False)):
        for _ in range(n):
            star += 1
            inspection.judge(labels, "ada", star, ada)
            inspection.judge(labels, "bo", star, bo)
    inspection.judge(labels, "ada", 999, None)
    (found,) = inspection.agreement(labels)
    assert found["n_stars"] == 50
    assert found["fraction"] == pytest.approx(0.7)
    assert found["kappa"] == pytest.approx(0.4)


def test_passwords_are_not_kept_and_short_ones_refused(labels):
    assert PASSWORD.encode() not in labels.read_bytes()
    with pytest.raises(ValueError, match="ten characters"):
        inspection.add_inspector(labels, "cy", "short")


def test_from_inspect_to_the_views_and_the_training(tmp_path, labels):
    """A simulated survey is run, published, judged in the site, and run again: the words decide, and can be learnt from."""
    write_survey(tmp_path / "survey", n=60, seed=3, progress=False)
    catalogue, published = tmp_path / "catalog.duckdb", tmp_path / "catalog.sqlite"
    configuration = Configuration(
        catalog=catalogue,
        spectra=[tmp_path / "survey" / "spectra"],
        release_catalogues=sorted((tmp_path / "survey").glob("*catalogue*.csv*")),
        inspections=labels,
        publish=published,
        workers=1,
    )
    run_pipeline(configuration)
    ada = visitor(published, labels)
    visit = next(ada)
    sign_in(visit)
    said = {}
    for verdict in ("be", "not", "undecided"):
        page = visit("/inspect").text
        star = int(re.search(r'name="star_id" value="(-?\d+)"', page).group(1))
        words = {"verdict": verdict, "profile_class": "emission with shell" if verdict == "be" else ""}
        form = {"csrftoken": token(page), "star_id": star, "comment": "told in a test", "shell_type": "", **words}
        assert visit("/inspect/judge", form).status_code == 302
        said[verdict] = star
    ada.close()
    assert len(set(said.values())) == 3

    run_pipeline(configuration)
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        candidates = dict(connection.execute("select star_id, profile_class from be_candidate").fetchall())
        verdict = connection.execute("select name from verdict where star_id = ?", [said["not"]]).fetchone()
        spectra = dict(connection.execute("select spectrum_id, star_id from spectrum").fetchall())
        files = {
            Path(file).name: n for file, n in connection.execute("select file, spectrum_id from spectrum").fetchall()
        }
    assert said["not"] not in candidates and verdict == ("inspection",)
    assert candidates[said["be"]] == "emission with shell" and said["undecided"] in candidates
    with sqlite3.connect(published) as connection:  # the snapshot was made anew
        assert connection.execute("select 1 from be_candidate where star_id = ?", [said["not"]]).fetchone() is None
        comments = connection.execute("select comment from inspection").fetchall()
    assert comments == [("told in a test",)] * 3

    learnt = labelled_from_catalogue(catalogue)
    label_of_star = {spectra[files[name]]: int(label) for name, label in zip(learnt.name, learnt.label, strict=True)}
    assert label_of_star == {said["be"]: 1, said["not"]: 0}
    assert len(learnt) == sum(star in label_of_star for star in spectra.values())
    assert learnt.windows()[1].all()
