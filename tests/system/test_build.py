"""Every variant builds, without a warning (warnings are errors)."""
import pytest
from guests import Config, built


@pytest.mark.parametrize("config", [Config("release"), Config("debug"), Config("cov"), Config("release", "gcc-12"),
                                    Config("debug", "gcc-12")],
                         ids=lambda config: f"{config.build}-{config.compiler}")
def test_builds(config):
    built(config)
