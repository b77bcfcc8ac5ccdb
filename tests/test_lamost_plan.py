"""The plan of a release's spectra: which are chosen, why, and what is told of it; and fetching them."""

from __future__ import annotations

import gzip
import io

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import Table

from becat.etl.archives.ingest import ingest_file
from becat.etl.lamost.client import Client
from becat.etl.lamost.limits import Limits
from becat.etl.lamost.plan import make_plan
from becat.etl.lamost.spectra import fetch_spectra
from becat.etl.lamost.token import Token
from becat.etl.lamost.wishes import Wishes
from becat.sample_spectra import real_spectra
from becat.schema.errors import BecatError
from becat.schema.releases import find, shipped
from tests.tools.lamost_release import as_csv, as_gzip, catalogue_rows, recorded_versions
from tests.tools.pipeline_tools import becat, new_catalogue
from tests.tools.servers.lamost_server import LamostServer

DR7, DR9 = find(shipped(), "dr7", "v2.0"), find(shipped(), "dr9", "v2.0")


def made(n_files=200, seed=3):
    """A general and a parameter catalogue with everything that the steps ask: S/N, T_eff, position, magnitude."""
    draw = np.random.default_rng(seed)
    general, stellar = [], []
    for i in range(n_files):
        star = i // 2  # two epochs a star
        there = np.random.default_rng(star)
        ra, dec = there.uniform(0, 360), np.degrees(np.arcsin(there.uniform(-0.2, 1)))
        teff = there.choice([-9999.0, 5000.0, 6500.0, 7200.0, 8000.0, 9000.0])
        of_file = {"obsid": 7_000_000 + i, "lmjd": 58100 + i % 7, "planid": f"HD{i % 5:06d}N01", "spid": 1 + i % 16,
                   "fiberid": 1 + i, "ra": ra, "dec": dec, "fibertype": "Obj", "gaia_g_mean_mag": 9 + star % 6}  # fmt: skip
        for minute in (0, 83_000_000, 83_000_030):
            for band in "BR":
                row = {**of_file, "lmjm": minute or 83_000_000, "coadd": int(minute == 0), "band": band,
                       "snr": float(draw.choice([5.0, 10.0, 10.1, 40.0]))}  # fmt: skip
                general.append(row)
                if minute == 0:
                    stellar.append({**row, "teff_lasp": teff})
    return pd.DataFrame(general), pd.DataFrame(stellar)


@pytest.fixture
def release(tmp_path):
    general, stellar = made()
    paths = [tmp_path / "dr7_v2.0_MRS_catalogue.csv.gz", tmp_path / "dr7_v2.0_MRS_stellar.csv.gz"]
    for path, rows in zip(paths, (general, stellar), strict=True):
        path.write_bytes(as_csv(rows))
    return paths, general, stellar


@pytest.fixture(scope="module")
def real():
    """Real files by the names that the service gives them, as they are sent, and the rows of their general catalogue."""
    files = {path.name.removesuffix(".gz") + ".gz": as_gzip(path) for path in real_spectra()}
    return files, catalogue_rows(real_spectra())[0]


def planned(connection, columns="obsid"):
    return connection.execute(f"select {columns} from download_plan order by obsid").fetchall()


def by_hand(general, stellar, coadds=True):
    """Files with a spectrum above 10 in both arms and without a temperature of a late A or F star, by pandas."""
    rows = general[general.coadd == 1] if coadds else general
    key = ["obsid", "coadd", "lmjm"]
    snr = rows.pivot_table(index=key, columns="band", values="snr").reset_index()
    teff = stellar[stellar.band == "B"].set_index("obsid").teff_lasp
    late = teff.reindex(snr.obsid).between(6500, 8000).to_numpy() & (snr.coadd == 1).to_numpy()
    return sorted(set(snr.obsid[(snr.B > 10) & (snr.R > 10) & ~late]))


@pytest.mark.parametrize("exposures", ["coadd", "all"])
def test_the_steps_choose_what_pandas_does(catalogue, release, exposures):
    paths, general, stellar = release
    plan = make_plan(catalogue, paths, DR7, "mrs", Wishes(exposures))
    right = by_hand(general, stellar, exposures == "coadd")
    assert [row[0] for row in planned(catalogue)] == right and 0 < len(right) < 200
    assert plan.steps[0].n_files == 200 and plan.steps[-1].n_files == len(right) == plan.n_to_fetch
    assert plan.bytes_to_fetch == len(right) * 43_000 * 7 and plan.n_bad_rows == 0


def test_a_row_says_where_the_file_is_and_why(catalogue, release):
    paths, general, _ = release
    make_plan(catalogue, paths, DR7, "mrs", Wishes())
    names = "obsid, night, plan_id, file, snr_b, snr_r, n_rows, bytes_expected, why, state, release, version"
    for obsid, night, plan_id, file, snr_b, snr_r, n_rows, n_bytes, why, *rest in planned(catalogue, names):
        mine = general[(general.obsid == obsid) & (general.coadd == 1)].set_index("band")
        one = mine.loc["B"]
        assert file == f"{night}/{plan_id}/med-{one.lmjd}-{one.planid}_sp{one.spid:02d}-{one.fiberid:03d}.fits.gz"
        assert night == (pd.Timestamp("1858-11-16") + pd.Timedelta(days=int(one.lmjd))).strftime("%Y%m%d")
        assert (snr_b, snr_r, n_rows, n_bytes) == pytest.approx((mine.snr["B"], mine.snr["R"], 6, 43_000 * 7))
        assert why.startswith("S/N ") and ("T_eff" in why) and rest == ["planned", "DR7", "v2.0"]


def test_the_night_is_that_of_the_recorded_rows(catalogue, real_data, tmp_path):
    rows = pd.read_csv(real_data / "lamost_api" / "sql_response_csv.csv", encoding="utf-8-sig", dtype={"obsid": int})
    (tmp_path / "dr10_v2.0_LRS_catalogue.csv").write_text(rows.to_csv(index=False))
    plan = make_plan(
        catalogue, [tmp_path / "dr10_v2.0_LRS_catalogue.csv"], find(shipped(), "dr10"), "lrs", Wishes(steps=False)
    )
    assert plan.n_to_fetch == len(rows)
    for row, (night, file) in zip(
        rows.sort_values("obsid").itertuples(), planned(catalogue, "night, file"), strict=True
    ):
        assert night == row.obsdate.replace("-", "")
        assert file.endswith(f"/spec-{row.lmjd}-{row.planid}_sp{row.spid:02d}-{row.fiberid:03d}.fits.gz")


def test_names_of_real_files_are_those_of_the_plan(catalogue, real, tmp_path):
    files, general = real
    (tmp_path / "g.csv.gz").write_bytes(as_csv(general))
    make_plan(catalogue, [tmp_path / "g.csv.gz"], DR7, "mrs", Wishes(steps=False))
    assert {row[0].split("/")[-1] for row in planned(catalogue, "file")} == set(files)
    for file, expected in planned(catalogue, "file, bytes_expected"):
        assert expected == pytest.approx(len(files[file.split("/")[-1]]), rel=0.35)


@pytest.mark.parametrize("kind", ["fits", "fits.gz", "csv", "comma", "bom"])
def test_every_form_of_a_catalogue_gives_the_same_plan(catalogue, release, tmp_path, kind):
    _, general, stellar = release
    paths = []
    for name, rows in (("dr7_v2.0_MRS_catalogue", general), ("dr7_v2.0_MRS_stellar", stellar)):
        path = tmp_path / "other" / f"{name}.{kind if 'fits' in kind else 'csv'}"
        path.parent.mkdir(exist_ok=True)
        if "fits" in kind:
            Table.from_pandas(rows).write(path)
        else:
            text = rows.to_csv(index=False, sep="," if kind == "comma" else "|")
            path.write_text(("\ufeff" if kind == "bom" else "") + text, encoding="utf-8")
        paths.append(path)
    make_plan(catalogue, paths, DR7, "mrs", Wishes())
    assert [row[0] for row in planned(catalogue)] == by_hand(general, stellar)


def test_bands_with_numbers_of_their_own_are_one_file(catalogue, release, tmp_path):
    """Since DR11 v1.0 the number may differ between the bands: the file is told by night, plan, spectrograph and fibre."""
    paths, general, stellar = release
    general, stellar = (rows.assign(obsid=rows.obsid + (rows.band == "R") * 10**6) for rows in (general, stellar))
    for path, rows in zip(paths, (general, stellar), strict=True):
        path.write_bytes(as_csv(rows))
    make_plan(catalogue, paths, DR7, "mrs", Wishes())
    assert [row[0] for row in planned(catalogue)] == by_hand(*made())


def test_bad_rows_are_counted_and_the_rest_is_planned(catalogue, release):
    paths, general, _ = release
    lines = general.to_csv(index=False, sep="|").splitlines()
    lines[7] = "too|short"
    lines[20] = lines[20].replace(lines[20].split("|")[0], "x" + lines[20].split("|")[0])
    paths[0].write_bytes(gzip.compress("\n".join(lines).encode()))
    plan = make_plan(catalogue, paths, DR7, "mrs", Wishes())
    assert plan.n_bad_rows == 2 and "2 rows of the catalogues could not be used" in "\n".join(plan.lines())


def test_a_signal_to_noise_that_is_missing_leaves_nothing_out(catalogue, release):
    paths, general, _ = release
    snr = np.where(general.obsid == 7_000_001, -9999.0, np.where(general.obsid == 7_000_002, 50.0, 5.0))
    paths[0].write_bytes(as_csv(general.assign(snr=snr)))
    make_plan(catalogue, paths[:1], DR7, "mrs", Wishes())
    assert planned(catalogue, "obsid, snr_b, why")[0] == (7_000_001, None, "S/N -, -; no T_eff")
    assert [row[0] for row in planned(catalogue)] == [7_000_001, 7_000_002]


def test_a_fibre_on_the_sky_is_no_star(catalogue, release):
    paths, general, _ = release
    paths[0].write_bytes(as_csv(general.assign(fibertype=np.where(general.obsid == 7_000_001, "Sky", "Obj"), snr=50.0)))
    make_plan(catalogue, paths[:1], DR7, "mrs", Wishes())
    assert len(planned(catalogue)) == 199


def test_region_and_magnitude(catalogue, release):
    paths, general, _ = release
    wishes = Wishes(
        regions=[(350.0, 5.0, 40.0), (100.0, 89.0, 20.0)], faintest_mag=12.0, brightest_mag=10.0, steps=False
    )
    make_plan(catalogue, paths, DR7, "mrs", wishes)
    stars = general.drop_duplicates("obsid")
    there = SkyCoord(stars.ra.to_numpy(), stars.dec.to_numpy(), unit="deg")
    near = np.zeros(len(stars), bool)
    for ra, dec, radius in wishes.regions:
        near |= there.separation(SkyCoord(ra, dec, unit="deg")) <= radius * u.deg
    right = sorted(stars.obsid[near & stars.gaia_g_mean_mag.between(10, 12)])
    assert [row[0] for row in planned(catalogue)] == right and 0 < len(right) < 100


def test_stars_of_a_list_of_a_view_and_all_their_epochs(catalogue, release, tmp_path):
    paths, general, stellar = release
    wanted = general[general.obsid.isin([7_000_010, 7_000_051])].drop_duplicates("obsid")
    (tmp_path / "mine.csv").write_text(wanted[["ra", "dec"]].to_csv(index=False))
    make_plan(catalogue, paths, DR7, "mrs", Wishes(stars=tmp_path / "mine.csv", steps=False))
    assert [row[0] for row in planned(catalogue)] == [7_000_010, 7_000_011, 7_000_050, 7_000_051]
    steps = set(by_hand(general, stellar))
    star = next(o for o in steps if (o ^ 1) not in steps)  # one epoch passes, the other does not
    row = general[general.obsid == star].iloc[0]
    catalogue.execute(f"create view one as select {row.ra} as ra_deg, {row.dec} as dec_deg")
    make_plan(catalogue, paths, DR7, "mrs", Wishes(view="one"))
    assert [row[0] for row in planned(catalogue)] == [star]
    make_plan(catalogue, paths, DR7, "mrs", Wishes(view="one", all_epochs=True))
    assert dict(planned(catalogue, "obsid, why"))[star ^ 1] == "another epoch of a chosen star"
    with pytest.raises(BecatError, match="nowhere"):
        make_plan(catalogue, paths, DR7, "mrs", Wishes(view="nowhere"))


def test_q_is_asked_of_the_catalogues_2mass(catalogue, release, tmp_path):
    paths, general, stellar = release
    before = make_plan(catalogue, paths, DR7, "mrs", Wishes())
    assert any("Q is not applied" in remark for remark in before.remarks)
    stars = general.drop_duplicates(["ra", "dec"]).reset_index()
    late = np.arange(len(stars)) % 3 == 0
    tmass = pd.DataFrame({
        "2MASS": [f"{i:08d}" for i in range(len(stars))], "RAJ2000": stars.ra, "DEJ2000": stars.dec + 1 / 3600,
        "Jmag": 10.0, "e_Jmag": 0.02, "Hmag": np.where(late, 9.0, 10.0), "e_Hmag": 0.02,
        "Kmag": np.where(late, 8.8, 10.0), "e_Kmag": 0.02, "Qfl": "AAA"})  # fmt: skip
    tmass = tmass[np.arange(len(stars)) % 5 > 0]  # some stars have no counterpart
    (tmp_path / "2mass.csv").write_text(tmass.to_csv(index=False))
    ingest_file(catalogue, "tmass", tmp_path / "2mass.csv")
    plan = make_plan(catalogue, paths, DR7, "mrs", Wishes())
    q = (10 - tmass.Hmag) - 1.70 * (tmass.Hmag - tmass.Kmag)
    dropped = stars.loc[tmass.index[q >= 0.4]]
    gone = set(general.merge(dropped[["ra", "dec"]], on=["ra", "dec"]).obsid)
    assert [row[0] for row in planned(catalogue)] == [o for o in by_hand(general, stellar) if o not in gone] and gone
    assert plan.steps[-1].step.startswith("Q below 0.4") and "Q +0.00" in planned(catalogue, "why")[0][0] + "Q +0.00"
    assert {why.split("; ")[-1] for (why,) in planned(catalogue, "why")} == {"Q +0.00", "no Q"}


def test_what_is_unknown_leaves_nothing_out_however_the_selection_takes_it(catalogue, release, tmp_path):
    paths, general, _ = release
    stars = general.drop_duplicates(["ra", "dec"])
    tmass = pd.DataFrame({
        "2MASS": [f"{i:08d}" for i in range(len(stars))], "RAJ2000": stars.ra, "DEJ2000": stars.dec,
        "Jmag": 10.0, "e_Jmag": 0.02, "Hmag": np.nan, "e_Hmag": np.nan, "Kmag": 10.0, "e_Kmag": 0.02, "Qfl": "AUA"})  # fmt: skip
    (tmp_path / "2mass.csv").write_text(tmass.to_csv(index=False))
    ingest_file(catalogue, "tmass", tmp_path / "2mass.csv")
    catalogue.execute(
        "update selection_parameter set value = 0 where name in ('teff_unknown_passes', 'q_unknown_passes')"
    )
    plan = make_plan(catalogue, paths[:1], DR7, "mrs", Wishes())
    snr = general[general.coadd == 1].groupby("obsid").snr.min()
    assert [row[0] for row in planned(catalogue)] == sorted(snr.index[snr > 10]) and len(planned(catalogue)) < 200
    assert "T_eff" in plan.steps[2].step and plan.steps[-1].step.startswith("Q below")


def test_a_changed_threshold_or_file_makes_another_plan_and_else_nothing_is_done(catalogue, release):
    paths, *_ = release
    make_plan(catalogue, paths, DR7, "mrs", Wishes())
    n_runs = catalogue.execute("select count(*) from etl_run").fetchone()
    assert make_plan(catalogue, paths, DR7, "mrs", Wishes()).unchanged
    assert catalogue.execute("select count(*) from etl_run").fetchone() == n_runs
    catalogue.execute("update selection_parameter set value = 50 where name = 'snr_min'")
    assert not make_plan(catalogue, paths, DR7, "mrs", Wishes()).unchanged
    assert planned(catalogue) == []


@pytest.mark.parametrize(
    ("spelt", "missing"), [("plan", "planid"), ("s_n_r", "snr"), ("fibre", "fiberid"), ("obs_id", "obsid")]
)
def test_a_missing_column_is_named(catalogue, release, spelt, missing):
    paths, general, _ = release
    paths[0].write_bytes(as_csv(general.rename(columns={missing: spelt})))
    with pytest.raises(BecatError, match=f"column {missing} is missing"):
        make_plan(catalogue, paths, DR7, "mrs", Wishes())


def test_the_two_surveys_have_plans_of_their_own(catalogue, release, tmp_path):
    paths, general, _ = release
    make_plan(catalogue, paths, DR7, "mrs", Wishes(steps=False))
    lrs = general.drop_duplicates("obsid").drop(columns=["band", "coadd", "lmjm", "snr"]).assign(snrg=50.0, snrr=60.0)
    (tmp_path / "l.csv").write_text(lrs.to_csv(index=False))
    make_plan(catalogue, [tmp_path / "l.csv"], DR7, "lrs", Wishes())
    found = catalogue.execute("select survey, count(*), min(file) from download_plan group by 1 order by 1").fetchall()
    assert [row[:2] for row in found] == [("lrs", 200), ("mrs", 200)] and "/spec-" in found[0][2]


def test_the_command_tells_the_release_by_the_names(release, tmp_path):
    paths, *_ = release
    catalog = new_catalogue(tmp_path / "d.duckdb")
    out = becat("lamost", "plan", *paths, "-c", catalog, "--region", 10, 20, 30).stdout
    assert "DR7 v2.0 (in the catalogues)" in out and "S/N above 10" in out and "to fetch:" in out
    assert "nothing has changed" in becat("lamost", "plan", *paths, "-c", catalog, "--region", 10, 20, 30).stdout
    assert "no plan for the LRS" in becat("lamost", "spectra", tmp_path / "s", "--lrs", "-c", catalog, check=1).stderr
    other = paths[0].rename(tmp_path / "mine.csv.gz")
    assert "--release" in becat("lamost", "plan", other, "-c", catalog, check=1).stderr


# ------------------------------------------------------------------------------------------------------------ spectra


@pytest.fixture
def lamost():
    server = LamostServer(recorded_versions())
    yield server
    server.close()


@pytest.fixture
def offered(lamost, catalogue, real, tmp_path):
    """The plan of eight real spectra, and a server that has them."""
    files, general = real
    (tmp_path / "g.csv.gz").write_bytes(as_csv(general))
    make_plan(catalogue, [tmp_path / "g.csv.gz"], DR7, "mrs", Wishes(steps=False))
    contents = {obsid: files[file.split("/")[-1]] for obsid, file in planned(catalogue, "obsid, file")}
    lamost.spectra["dr7/v2.0", "mrs"] = dict(contents)
    return contents


def client_of(lamost, token=None, **limits):
    return Client(lamost.root, token, Limits(**{"first_wait_s": 0.0, "free_bytes_kept": 0, **limits}))


def states(connection):
    return dict(connection.execute("select state, count(*) from download_plan group by 1").fetchall())


def test_spectra_come_with_every_failure_mixed_in(catalogue, lamost, offered, tmp_path):
    obsids = sorted(offered)
    for obsid, faults in zip(
        obsids, [["cut"], ["429", "503"], ["half"], ["damaged"], ["sql error"], [], [], []], strict=True
    ):
        lamost.faults[str(obsid)] = faults
    of = lamost.spectra["dr7/v2.0", "mrs"]
    lamost.spectra["dr7/v1.3", "mrs"][obsids[5]] = of.pop(obsids[5])  # found in another version
    del of[obsids[6]]  # found nowhere
    of[obsids[7]] = offered[obsids[0]]  # another spectrum under this number
    fetched = fetch_spectra(catalogue, client_of(lamost), None, "mrs", tmp_path / "mrs", with_nights=False)
    assert (fetched.n_fetched, fetched.n_missing, fetched.n_failed) == (6, 1, 1)
    rows = {row[0]: row[1:] for row in planned(catalogue, "obsid, state, version, problem, file")}
    assert rows[obsids[5]][:3] == ("fetched", "v1.3", "not in v2.0: taken from v1.3")
    assert rows[obsids[6]][0] == "missing" and "nor is it in another version of DR7" in rows[obsids[6]][2]
    assert rows[obsids[7]][0] == "failed" and f"holds OBSID {obsids[0]}, not {obsids[7]}" in rows[obsids[7]][2]
    for obsid in obsids[:6]:
        assert (tmp_path / "mrs" / rows[obsid][3]).read_bytes() == offered[obsid]
    assert len([p for p in (tmp_path / "mrs").rglob("*") if p.is_file()]) == 6
    assert lamost.most_at_once <= 4
    before = dict(lamost.asked)
    again = fetch_spectra(catalogue, client_of(lamost), None, "mrs", tmp_path / "mrs", with_nights=False)
    changed = {key for key in lamost.asked if lamost.asked[key] != before.get(key, 0)}
    assert (again.n_fetched, again.n_failed) == (0, 1) and changed == {"dr_versions", str(obsids[7])}


def test_a_second_run_asks_nothing(catalogue, lamost, offered, tmp_path):
    fetch_spectra(catalogue, client_of(lamost), None, "mrs", tmp_path / "mrs")
    before = dict(lamost.asked)
    assert fetch_spectra(catalogue, client_of(lamost), None, "mrs", tmp_path / "mrs").lines() == [
        "spectra: all those of the plan are there"
    ]
    assert dict(lamost.asked) == before


def test_what_a_killed_run_has_brought_is_not_asked_for_again(catalogue, lamost, offered, tmp_path):
    fetch_spectra(catalogue, client_of(lamost), None, "mrs", tmp_path / "mrs")
    catalogue.execute("update download_plan set state = 'planned'")  # it was killed before it could note them
    files = [tmp_path / "mrs" / row[0] for row in planned(catalogue, "file")]
    files[0].unlink()
    files[1].write_bytes(files[1].read_bytes()[:1000])  # no becat writes such a file, a full disk may
    before = lamost.asked.total()
    fetched = fetch_spectra(catalogue, client_of(lamost), None, "mrs", tmp_path / "mrs")
    assert (fetched.n_there, fetched.n_fetched) == (6, 2) and lamost.asked.total() == before + 3
    files[2].unlink()  # noted as fetched, and lost since
    assert fetch_spectra(catalogue, client_of(lamost), None, "mrs", tmp_path / "mrs").n_fetched == 1


@pytest.mark.parametrize("fault", ["login page", "login page as octets", "token words", "401"])
def test_a_wanted_token_stops_the_run_at_once(catalogue, lamost, offered, tmp_path, fault):
    for obsid in offered:
        lamost.faults[str(obsid)] = [fault] * 9
    with pytest.raises(BecatError, match="asks for a token"):
        fetch_spectra(catalogue, client_of(lamost), None, "mrs", tmp_path / "mrs")
    assert lamost.asked.total() < 1 + 2 * len(offered) and states(catalogue) == {"planned": 8}


def test_a_token_that_expires_in_the_middle_keeps_what_came(catalogue, lamost, offered, tmp_path):
    catalogue.execute("update download_plan set release = 'DR12', version = 'v1.1'")
    lamost.spectra["dr12/v1.1", "mrs"] = dict(offered)
    lamost.token = "t0ken"
    lamost.faults[str(max(offered))] = ["login page"] * 3
    with pytest.raises(BecatError, match=r"asks for a token for DR12 v1\.1"):
        fetch_spectra(catalogue, client_of(lamost, Token("t0ken"), connections=1), None, "mrs", tmp_path / "mrs")
    assert states(catalogue)["fetched"] >= 1
    text = str(catalogue.execute("from download_plan").fetchall()) + str(catalogue.execute("from etl_run").fetchall())
    assert "t0ken" not in text


def test_a_service_that_is_down_ends_the_run(catalogue, lamost, offered, tmp_path):
    for obsid in offered:
        lamost.faults[str(obsid)] = ["503"] * 99
    client = client_of(lamost, tries=2, failures_in_a_row=3)
    with pytest.raises(
        BecatError, match="3 spectra in a row could not be fetched, the last because the service is busy"
    ):
        fetch_spectra(catalogue, client, None, "mrs", tmp_path / "mrs")


def test_a_full_disk_ends_the_run(catalogue, lamost, offered, tmp_path):
    with pytest.raises(BecatError, match="free some space"):
        fetch_spectra(catalogue, client_of(lamost, free_bytes_kept=10**18), None, "mrs", tmp_path / "mrs")
    assert states(catalogue) == {"planned": 8}


def test_the_next_release_brings_what_is_new_or_has_changed(catalogue, lamost, offered, real, tmp_path):
    fetch_spectra(catalogue, client_of(lamost), None, "mrs", tmp_path / "mrs")
    general = real[1].copy()
    changed = int(general.obsid.iloc[0])
    general.loc[(general.obsid == changed) & (general.coadd == 1), "snr"] += 3
    new = general[general.obsid == changed].assign(obsid=123, fiberid=250)
    (tmp_path / "g9.csv.gz").write_bytes(as_csv(pd.concat([general, new])))
    make_plan(catalogue, [tmp_path / "g9.csv.gz"], DR9, "mrs", Wishes(steps=False))
    assert states(catalogue) == {"fetched": 7, "planned": 1, "replace": 1}
    assert dict(planned(catalogue, "obsid, release"))[changed] == "DR9"
    of = lamost.spectra["dr9/v2.0", "mrs"] = {
        changed: replaced(offered[changed], "3.14"),
        123: replaced(offered[changed], "1", 123),
    }
    lamost.asked.clear()
    fetch_spectra(catalogue, client_of(lamost), None, "mrs", tmp_path / "mrs")
    assert set(lamost.asked) == {"dr_versions", str(changed), "123"} and states(catalogue) == {"fetched": 9}
    file = dict(planned(catalogue, "obsid, file"))[changed]
    assert (tmp_path / "mrs" / file).read_bytes() == of[changed]
    make_plan(catalogue, [tmp_path / "g9.csv.gz"], DR9, "mrs", Wishes(steps=False, anew=True))
    assert states(catalogue) == {"replace": 9}


def replaced(content, word, obsid=None):
    """The file with a word in its header, as a later release might give it."""
    from astropy.io import fits

    with fits.open(io.BytesIO(gzip.decompress(content))) as hdus:
        hdus[0].header["COMMENT"] = word
        if obsid:
            hdus[0].header["OBSID"] = obsid
        out = io.BytesIO()
        hdus.writeto(out, output_verify="silentfix")
    return gzip.compress(out.getvalue(), compresslevel=1, mtime=0)


def test_a_plan_is_not_published():
    from becat.publish.snapshot.write import UNPUBLISHED

    assert {"download_plan", "download_rate"} <= set(UNPUBLISHED)
