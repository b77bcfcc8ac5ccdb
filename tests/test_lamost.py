"""LAMOST's service, played on loopback: its releases, its catalogues, its spectra, and every way in which it fails."""

from __future__ import annotations

import gzip
import json
import logging
import pickle
import traceback
from urllib.parse import urlsplit

import numpy as np
import pytest

from becat.etl.lamost import answers
from becat.etl.lamost.catalogues import catalogue_names, fetch_catalogues, known_releases, release_of_file
from becat.etl.lamost.client import Client
from becat.etl.lamost.limits import Limits
from becat.etl.lamost.token import Token, find_token
from becat.sample_spectra import real_spectra
from becat.schema.errors import BecatError
from becat.schema.releases import Release, find, shipped
from tests.tools.lamost_release import as_gzip, recorded_versions
from tests.tools.pipeline_tools import becat
from tests.tools.servers.lamost_server import WORDS, LamostServer

QUICK = Limits(first_wait_s=0.0, timeout_s=5.0, free_bytes_kept=0)
OBSID = 666212076


@pytest.fixture
def lamost():
    server = LamostServer(recorded_versions())
    yield server
    server.close()


@pytest.fixture
def client(lamost):
    return Client(lamost.root, limits=QUICK)


@pytest.fixture(scope="module")
def spectrum():
    return as_gzip(next(path for path in real_spectra() if "58268" in path.name))


def dr7(client, version="v2.0", survey="mrs"):
    return find(known_releases(client), "dr7", version, survey)


def fetched(client, obsid=OBSID, release=None):
    release = release or dr7(client)
    return client.content(
        release.spectrum("mrs", obsid), not release.is_public, 10**8, lambda c: answers.opened_spectrum(c, obsid)
    )


# --------------------------------------------------------------------------------------------------------- releases


def test_the_list_in_the_package_is_the_recorded_one(real_data):
    said = json.loads((real_data / "lamost_api" / "dr_versions_response.json").read_text())["versions"]
    recorded = {(one["dr_version"].upper(), one["sub_version"], one["base_url"], one["has_mrs"],
                 one["public_status"] == "public") for one in said}  # fmt: skip
    assert recorded == {(r.release, r.version, r.address, r.has_mrs, r.is_public) for r in shipped()}


def test_the_recorded_list_is_read(real_data):
    server = LamostServer(json.loads((real_data / "lamost_api" / "dr_versions_response.json").read_text())["versions"])
    try:
        known = known_releases(Client(server.root, limits=QUICK))
        assert [one.name for one in known] == [one.name for one in sorted(shipped(), key=lambda one: one.order)]
        out = becat("lamost", "releases", "--server", server.root).stdout
        assert len(out.splitlines()) == 40 and "DR13  v0    MRS and LRS  internal: a token is needed" in out
        assert "DR5   v3    LRS only     public" in out
    finally:
        server.close()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (("dr11", "", "mrs"), "DR11 v2.0"),
        (("DR 7", "2", "mrs"), "DR7 v2.0"),
        (("7", "v1.2", "mrs"), "DR7 v1.2"),
        (("dr13", "", "mrs"), "DR13 v0"),  # internal all; v1.0 is without an MRS
        (("dr3", "", "lrs"), "DR3"),
        (("dr6", "", "mrs"), "DR6 v2"),
    ],
)
def test_a_release_is_found_by_what_people_write(asked, found):
    assert find(shipped(), *asked).name == found


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("dr99", ""), "no release dr99: there are DR1"),
        (("dr7", "v3"), "DR7 has no version v3: there are v0, v1"),
        (("dr5", "", "mrs"), "no medium-resolution survey"),
        (("dr6", "v0", "mrs"), "DR6 v0 has no medium"),
    ],
)
def test_a_release_that_is_not_there_is_named(asked, said):
    with pytest.raises(BecatError, match=said):
        find(shipped(), *asked)


def test_addresses_follow_the_release():
    assert find(shipped(), "dr5").spectrum("lrs", 1) == "https://dr5.lamost.org/v3/spectrum/fits/1"
    assert find(shipped(), "dr6").spectrum("mrs", 1, "view") == "https://dr6.lamost.org/v2/medspectrum/view?obsid=1"
    assert (
        find(shipped(), "dr10").spectrum("lrs", 353301001) == "https://www.lamost.org/dr10/v2.0/spectrum/fits/353301001"
    )
    assert find(shipped(), "dr3").spectrum("lrs", 7) == "https://dr3.lamost.org/spectrum/fits/7"


# ---------------------------------------------------------------------------------------------------- names of files


@pytest.mark.parametrize(
    ("release", "version", "survey", "general", "stellar"),
    [
        ("DR6", "v1", "mrs", "dr6_v1_MSR", "dr6_v1_stellar_MSR"),
        ("DR6", "v1.1", "mrs", "dr6_med_v1.1_MRS", "dr6_med_v1.1_stellar_MRS"),
        ("DR6", "v2", "mrs", "dr6_med_v2_MRS", "dr6_med_v2_stellar_MRS"),
        ("DR6", "v2", "lrs", "dr6_v2_LSR", "dr6_v2_stellar_LSR"),
        ("DR7", "v1.2", "mrs", "dr7_med_v1.2", "dr7_med_v1.2_stellar"),
        ("DR7", "v1.3", "mrs", "dr7_med_v1.3_catalogue_MRS", "dr7_med_v1.3_stellar_MRS"),
        ("DR7", "v1.3", "lrs", "dr7_v1.3_catalogue_LRS", "dr7_v1.3_stellar_LRS"),
        ("DR8", "v1.0", "mrs", "dr8_med_v1.0_catalogue_MRS", "dr8_med_v1.0_stellar_MRS"),
        ("DR7", "v2.0", "mrs", "dr7_v2.0_MRS_catalogue", "dr7_v2.0_MRS_stellar"),
        ("DR8", "v1.1", "mrs", "dr8_v1.1_MRS_catalogue", "dr8_v1.1_MRS_stellar"),
        ("DR11", "v2.0", "lrs", "dr11_v2.0_LRS_catalogue", "dr11_v2.0_LRS_stellar"),
        ("DR9", "v0", "lrs", "dr9_v0_q1q2q3_LRS_catalogue", "dr9_v0_q1q2q3_LRS_stellar"),
        ("DR10", "v0", "mrs", "dr10_v0_MRS_catalogue_q1q2q3", "dr10_v0_MRS_stellar_q1q2q3"),
        ("DR5", "v3", "lrs", "dr5_v3", "dr5_v3_stellar"),
        ("DR3", "", "lrs", "dr3", "dr3_stellar"),
    ],
)
def test_catalogues_have_the_names_of_their_release(release, version, survey, general, stellar):
    found = find(shipped(), release, version, survey)
    assert catalogue_names(found, survey) == ([general], [stellar])
    for name in (general, stellar):
        assert release_of_file(f"{name}.csv.gz") == (release, version, survey)


def test_a_release_in_quarters_has_three():
    general, stellar = catalogue_names(find(shipped(), "dr7", "v0"), "mrs")
    assert general == ["dr7_med_v0_q1", "dr7_med_v0_q2", "dr7_med_v0_q3"] and stellar[2] == "dr7_med_v0_q3_stellar"


# --------------------------------------------------------------------------------------------- what comes for a file


def test_a_whole_file_is_taken_as_it_is(lamost, client, spectrum):
    lamost.spectra["dr7/v2.0", "mrs"][OBSID] = spectrum
    assert fetched(client) == spectrum
    assert {agent.split("/")[0] for agent in lamost.agents} == {"becat"}
    assert lamost.seen_tokens == []


def test_the_recorded_spectrum_is_what_was_asked_for(real_data):
    content = (real_data / "lamost_api" / "spec-57278-EG224429N215706B01_sp01-001.fits.gz").read_bytes()
    assert answers.opened_spectrum(content, 353301001) == "DR10"
    with pytest.raises(answers.Unusable, match="it holds OBSID 353301001, not 353301002"):
        answers.opened_spectrum(content, 353301002)


@pytest.mark.parametrize("fault", ["429", "500", "503", "cut", "half", "damaged", "sql error"])
def test_what_may_be_otherwise_later_is_asked_for_again(lamost, client, spectrum, fault):
    lamost.spectra["dr7/v2.0", "mrs"][OBSID] = spectrum
    lamost.faults[str(OBSID)] = [fault, fault]
    assert fetched(client) == spectrum
    assert lamost.asked[str(OBSID)] == 3


@pytest.mark.parametrize("fault", ["429", "503", "cut", "damaged"])
def test_after_all_tries_it_is_told_what_was_wrong(lamost, client, spectrum, fault):
    lamost.spectra["dr7/v2.0", "mrs"][OBSID] = spectrum
    lamost.faults[str(OBSID)] = [fault] * 20
    with pytest.raises(answers.Unusable):
        fetched(client)
    assert lamost.asked[str(OBSID)] == QUICK.tries


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        ("login page", answers.NeedsToken, "login page"),
        ("login page as octets", answers.NeedsToken, "login page"),
        ("token words", answers.NeedsToken, "missing, wrong or expired"),
        ("401", answers.NeedsToken, "401"),
        ("json error", answers.NotThere, "obsid not found"),
        ("not found", answers.NotThere, "404"),
        ("not found under 200", answers.NotThere, "Not Found"),
        ("empty", answers.NotThere, "empty"),
        ("web page", answers.Refused, "web page"),
    ],
)
def test_words_instead_of_a_file_are_named_at_once(lamost, client, spectrum, fault, kind, said):
    lamost.spectra["dr7/v2.0", "mrs"][OBSID] = spectrum
    lamost.faults[str(OBSID)] = [fault] * 20
    with pytest.raises(kind, match=said):
        fetched(client)
    assert lamost.asked[str(OBSID)] == 1


def test_every_answer_in_words_is_known():
    for name, (status, kind, body) in WORDS.items():
        with pytest.raises(answers.Unusable) as raised:
            answers.judge(status, kind, body)
        assert type(raised.value) is not answers.Unusable, name


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"SIMPLE  =                    T", "plain FITS"),
        (gzip.compress(b"<html>login</html>", mtime=0), "not a FITS"),
        (b"PK\x03\x04 a zip", "does not begin as gzip"),
        (gzip.compress(b"SIMPLE  =                    T".ljust(80) + b"END".ljust(80), mtime=0), r"OBSID \(none\)"),
    ],
)
def test_a_file_counts_only_if_it_is_the_spectrum(content, said):
    with pytest.raises(answers.Unusable, match=said):
        answers.opened_spectrum(content, OBSID)


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.999])
def test_half_a_file_is_none(spectrum, cut):
    with pytest.raises(answers.Unusable, match="truncated"):
        answers.opened_spectrum(spectrum[: int(len(spectrum) * cut)], OBSID)


def test_no_byte_may_differ(spectrum):
    draw = np.random.default_rng(4)
    for at in draw.integers(10, len(spectrum), 20):
        broken = bytearray(spectrum)
        broken[at] ^= 0x40
        with pytest.raises(answers.Unusable):
            answers.opened_spectrum(bytes(broken), OBSID)


def test_an_mrs_number_on_the_lrs_path_is_told(lamost, client, spectrum):
    lamost.spectra["dr7/v2.0", "mrs"][OBSID] = spectrum
    lamost.spectra["dr7/v2.0", "lrs"][1] = spectrum
    with pytest.raises(answers.NotThere, match="obsid not found"):
        client.content(dr7(client).spectrum("lrs", OBSID), False, 10**8, lambda c: None)


def test_all_connections_wait_when_one_is_asked_to(lamost, spectrum):
    waited = []
    client = Client(lamost.root, limits=QUICK, sleep=waited.append)
    lamost.spectra["dr7/v2.0", "mrs"][OBSID] = spectrum
    client._wait(1, 7.0)
    fetched(client)
    assert waited[0] == 7.0 and any(6 < wait <= 7 for wait in waited[1:])


def test_waits_double_and_end(lamost):
    waited = []
    client = Client("http://127.0.0.1:9/openapi", limits=Limits(longest_wait_s=20), sleep=waited.append)
    with pytest.raises(BecatError, match="does not answer"):
        client.json("dr_versions")
    assert len(waited) == Limits().tries - 1
    assert all(2 * 2**i <= wait <= min(4 * 2**i, 20) or wait == 20 for i, wait in enumerate(waited))


# -------------------------------------------------------------------------------------------------------------- token


def test_the_token_goes_only_to_internal_releases(lamost, spectrum, tmp_path):
    lamost.token = "s3cret-token"
    (tmp_path / "t").write_text("# mine\ntoken = s3cret-token\n")
    client = Client(lamost.root, find_token(tmp_path / "t"), QUICK)
    lamost.spectra["dr12/v1.1", "mrs"][OBSID] = lamost.spectra["dr7/v2.0", "mrs"][OBSID] = spectrum
    internal = find(known_releases(client), "dr12")
    assert not internal.is_public
    assert fetched(client, release=internal) == spectrum
    fetched(client)
    assert lamost.seen_tokens == [(f"/dr12/v1.1/medspectrum/fits/{OBSID}", "s3cret-token")]


def test_no_token_or_a_wrong_one_is_a_login_page(lamost, spectrum):
    lamost.token = "right"
    lamost.spectra["dr12/v1.1", "mrs"][OBSID] = spectrum
    for token in (None, Token("wrong")):
        client = Client(lamost.root, token, QUICK)
        with pytest.raises(answers.NeedsToken):
            fetched(client, release=find(known_releases(client), "dr12"))


def test_the_token_is_in_no_log_and_no_error(lamost, caplog, tmp_path):
    caplog.set_level(logging.DEBUG)
    token = Token("s3cret-token")
    client = Client(lamost.root, token, QUICK)
    internal = find(known_releases(client), "dr12")
    with pytest.raises(answers.Unusable) as raised:
        fetched(client, release=internal)
    gone = Client("http://127.0.0.1:9/openapi", token, Limits(tries=1))
    nowhere = Release("DR12", "v1.1", "http://127.0.0.1:9/dr12/v1.1", True, False)
    with pytest.raises(answers.Unusable) as lost:
        fetched(gone, release=nowhere)
    with pytest.raises(BecatError) as catalogue:
        fetch_catalogues(client, internal, "mrs", tmp_path)
    assert "token=hidden" in caplog.text, "the log of urllib3 was read"
    told = "".join(line for one in (raised, lost, catalogue) for line in traceback.format_exception(one.value))
    for text in (caplog.text, told, repr(token), str(token)):
        assert "s3cret-token" not in text.replace('Token("s3cret-token")', "")
    assert "token" in str(catalogue.value) and "BECAT_LAMOST_TOKEN" in str(catalogue.value)
    with pytest.raises(TypeError):
        pickle.dumps(token)


def test_the_token_goes_to_the_service_only():
    client = Client("https://www.lamost.org/openapi", Token("t"))
    assert client._trusts("https://www.lamost.org/dr12/v1.1/x") and client._trusts("https://dr6.lamost.org/v2/x")
    for address in (
        "http://www.lamost.org/dr12/x",
        "https://oauth.china-vo.org/user/login",
        "https://lamost.org.evil.net/",
    ):
        assert not client._trusts(address), urlsplit(address).hostname


def test_where_a_token_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("BECAT_LAMOST_TOKEN", "ASTROQUERY_NADC_LAMOST_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert find_token() is None
    (tmp_path / "pylamost.ini").write_text("[a]\ntoken=of-the-file\n")
    assert find_token().reveal() == "of-the-file"
    monkeypatch.setenv("ASTROQUERY_NADC_LAMOST_TOKEN", "of-the-environment")
    assert find_token().reveal() == "of-the-environment"
    (tmp_path / "alone").write_text("alone\n")
    assert find_token(tmp_path / "alone").reveal() == "alone"
    (tmp_path / "bad").write_text("token = two words\n")
    with pytest.raises(BecatError) as error:
        find_token(tmp_path / "bad")
    assert "two" not in str(error.value)


# --------------------------------------------------------------------------------------------------------- catalogues


@pytest.fixture
def listed(lamost):
    draw = np.random.default_rng(1)
    for name in ("catalogue", "stellar"):
        noise = draw.integers(0, 10, (20_000, 12)).astype("U1")
        text = "\n".join("|".join(row) for row in noise)
        lamost.catalogues["dr7/v2.0"][f"dr7_v2.0_MRS_{name}.csv.gz"] = gzip.compress(text.encode())
    return lamost


def test_a_catalogue_that_breaks_off_goes_on_where_it_stopped(listed, client, tmp_path):
    name = "dr7_v2.0_MRS_catalogue.csv.gz"
    listed.faults[name] = ["cut", "503", "cut", "429", "cut"]
    paths = fetch_catalogues(client, dr7(client), "mrs", tmp_path)
    assert [path.read_bytes() for path in paths] == list(listed.catalogues["dr7/v2.0"].values())
    sizes = [int(asked[6:-1]) for asked in listed.ranges]
    assert sizes == sorted(sizes) and len(set(sizes)) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(listed.catalogues["dr7/v2.0"])
    before = dict(listed.asked)
    fetch_catalogues(client, dr7(client), "mrs", tmp_path)
    assert {**listed.asked, "dr_versions": 0} == {**before, "dr_versions": 0}, "what is there is not asked for"


def test_a_catalogue_begun_by_another_run_is_taken_up(listed, client, tmp_path):
    name = "dr7_v2.0_MRS_catalogue.csv.gz"
    whole = listed.catalogues["dr7/v2.0"][name]
    (tmp_path / f"{name}.part").write_bytes(whole[:70_000])
    assert fetch_catalogues(client, dr7(client), "mrs", tmp_path)[0].read_bytes() == whole
    assert listed.ranges == ["bytes=70000-"]


def test_the_end_alone_missing_or_nothing_missing(listed, client, tmp_path):
    name = "dr7_v2.0_MRS_catalogue.csv.gz"
    whole = listed.catalogues["dr7/v2.0"][name]
    (tmp_path / f"{name}.part").write_bytes(whole)  # killed between the last byte and the new name
    assert fetch_catalogues(client, dr7(client), "mrs", tmp_path)[0].read_bytes() == whole


def test_parts_of_two_files_are_begun_anew(listed, client, tmp_path):
    name = "dr7_v2.0_MRS_catalogue.csv.gz"
    whole = listed.catalogues["dr7/v2.0"][name]
    for start in (gzip.compress(b"another catalogue" * 10_000), whole + b"longer"):
        (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / f"{name}.part").write_bytes(start)
        assert fetch_catalogues(client, dr7(client), "mrs", tmp_path)[0].read_bytes() == whole


def test_a_server_without_ranges_begins_anew(listed, client, tmp_path):
    name = "dr7_v2.0_MRS_catalogue.csv.gz"
    listed.faults[name] = ["cut", "no range"]
    assert fetch_catalogues(client, dr7(client), "mrs", tmp_path)[0].read_bytes() == listed.catalogues["dr7/v2.0"][name]


def test_a_login_page_does_not_spoil_what_is_there(listed, client, tmp_path):
    name = "dr7_v2.0_MRS_catalogue.csv.gz"
    (tmp_path / f"{name}.part").write_bytes(listed.catalogues["dr7/v2.0"][name][:50_000])
    listed.faults[name] = ["login page"]
    with pytest.raises(BecatError, match=r"asks for a token for DR7 v2\.0, which it lists as public"):
        fetch_catalogues(client, dr7(client), "mrs", tmp_path)
    assert (tmp_path / f"{name}.part").stat().st_size == 50_000


def test_a_damaged_catalogue_has_no_name(listed, client, tmp_path):
    listed.faults["dr7_v2.0_MRS_catalogue.csv.gz"] = ["damaged", "damaged"]
    with pytest.raises(BecatError, match=r"could not be fetched: gzip is cut off or damaged"):
        fetch_catalogues(client, dr7(client), "mrs", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_not_there_is_told_after_both_paths(listed, client, tmp_path):
    del listed.catalogues["dr7/v2.0"]["dr7_v2.0_MRS_stellar.csv.gz"]
    with pytest.raises(BecatError, match=r"no dr7_v2.0_MRS_stellar.csv.gz .*find its name on the page of DR7 v2.0"):
        fetch_catalogues(client, dr7(client), "mrs", tmp_path)
    assert listed.asked["dr7_v2.0_MRS_stellar.csv.gz"] == 2


def test_the_disk_is_not_filled(listed, lamost, tmp_path):
    client = Client(lamost.root, limits=Limits(free_bytes_kept=10**18))
    with pytest.raises(BecatError, match="free some space"):
        fetch_catalogues(client, dr7(client), "mrs", tmp_path)
    assert not list(tmp_path.glob("*.gz"))


def test_the_command(listed, tmp_path):
    out = becat("lamost", "catalogue", "DR7", "2.0", "--into", tmp_path / "x", "--server", listed.root).stdout
    assert "DR7 v2.0" in out and "dr7_v2.0_MRS_stellar.csv.gz" in out
    said = becat("lamost", "catalogue", "DR5", "--server", listed.root, check=1).stderr
    assert said.count("\n") == 1 and "medium-resolution" in said
