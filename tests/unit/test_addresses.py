"""Which addresses are outside the network."""

import pytest

from cleanup.services.alerting.addresses import is_outside


class TestOutside:
    @pytest.mark.parametrize(
        "address",
        ["9.9.9.9", "2620:fe::fe", "::ffff:9.9.9.9", "64:ff9b::9.9.9.9"],
    )
    def test_is_what_is_routed_on_the_internet(self, address):
        assert is_outside(address)

    @pytest.mark.parametrize(
        "address",
        [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::9.9.9.9",
            "::ffff:127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::9.9.9.9",
            "2002:909:909::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001:0:7f00:1::1",
            "2001:db8::1",
            "fc00::1",
            "fe80::1%eth0",
            "fec0::1",
            "ff02::1",
            "100::1",
            "localhost",
            "",
            "0x7f.1",
        ],
    )
    def test_is_nothing_else(self, address):
        assert not is_outside(address)
