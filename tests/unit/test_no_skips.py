"""A skip is a failure of the session, wherever it comes from."""

import pytest

pytest_plugins = ["pytester"]

HOOKS = "from tests.conftest import pytest_make_collect_report, pytest_runtest_makereport\n"
SKIPS = {
    "in a test": "import pytest\ndef test_it(): pytest.skip('no engine')\n",
    "in a fixture": (
        "import pytest\n@pytest.fixture\ndef engine(): pytest.skip('no engine')\ndef test_it(engine): pass\n"
    ),
    "by a mark": "import pytest\n@pytest.mark.skipif(True, reason='no engine')\ndef test_it(): pass\n",
    "of a module": "import pytest\npytest.skip('no engine', allow_module_level=True)\n",
    "for want of a package": "import pytest\npytest.importorskip('no_such_package', reason='no engine')\n",
}


@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS.keys())
def test_a_skip_fails_the_session_and_says_why(pytester: pytest.Pytester, source: str) -> None:
    pytester.makeconftest(HOOKS)
    pytester.makepyfile(source)
    found = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist")
    assert found.ret in (pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERRUPTED)
    assert "skipped" not in found.parseoutcomes()
    found.stdout.fnmatch_lines("*Nothing may be skipped here:*no engine*")


def test_what_passes_and_what_is_expected_to_fail_is_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(HOOKS)
    pytester.makepyfile("import pytest\ndef test_it(): pass\n@pytest.mark.xfail\ndef test_other(): assert False\n")
    found = pytester.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist")
    found.assert_outcomes(passed=1, xfailed=1)
