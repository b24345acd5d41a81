import pytest

from stageport.http.proxies import find_proxy, read_proxies


def test_no_proxies_by_default() -> None:
    assert read_proxies({"NO_PROXY": "*", "PATH": "/bin"}) == {}


def test_a_proxy_for_each_scheme_and_one_for_all() -> None:
    proxies = read_proxies({"HTTPS_PROXY": "http://secure:1", "all_proxy": "http://any:2"})
    assert find_proxy(proxies, "https", "api.port.io", None) == "http://secure:1"
    assert find_proxy(proxies, "http", "backstage", 7007) == "http://any:2"


def test_lower_case_wins() -> None:
    assert read_proxies({"https_proxy": "http://a", "HTTPS_PROXY": "http://b"})["https"] == "http://a"


def test_a_proxy_without_a_scheme_is_an_http_proxy() -> None:
    assert find_proxy({"https": "proxy:3128"}, "https", "api.port.io", None) == "http://proxy:3128"


def test_a_cgi_script_cannot_be_given_a_proxy_by_a_request() -> None:
    assert read_proxies({"HTTP_PROXY": "http://evil", "REQUEST_METHOD": "GET"}) == {}


@pytest.mark.parametrize(
    ("exceptions", "host", "port", "direct"),
    [
        ("*", "any.example", None, True),
        ("example.com", "example.com", None, True),
        ("example.com", "api.example.com", None, True),
        (".example.com", "api.example.com", None, True),
        ("*.example.com", "api.example.com", None, True),
        ("example.com", "notexample.com", None, False),
        ("localhost, 127.0.0.1", "127.0.0.1", 7007, True),
        ("backstage:7007", "backstage", 7007, True),
        ("backstage:7007", "backstage", 80, False),
        ("EXAMPLE.com", "example.COM", None, True),
        ("", "example.com", None, False),
    ],
)
def test_no_proxy_names_hosts_domains_and_ports(exceptions: str, host: str, port: int | None, direct: bool) -> None:
    proxies = {"https": "http://proxy", "no": exceptions}
    assert (find_proxy(proxies, "https", host, port) is None) is direct
