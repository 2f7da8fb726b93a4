"""Notifications, as a real HTTP server and a real mail server receive them."""

import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as MessageHandler
from django.core import mail
from django.core.management import call_command
from django.db.models import F
from django.db.models.functions import Now

from cleanup.exceptions import MisconfiguredSetting
from cleanup.models import Alert, Verification
from cleanup.services import DatabaseCleanupService
from cleanup.services.alerting import addresses, alerts, channels
from tests.support.trees import tree

NAME = "Tax return of Ms Example"
SECRET = "s3cr3t"

#: What an alert says first.
FOUND = "[cleanup] warning: The latest verification of the database found 3 places with duplicates."


@dataclass
class Receiver:
    """What listens at a port, and what has come in."""

    port: int = 0
    status: int = 200
    location: str = ""
    received: list[dict] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"json://user:{SECRET}@127.0.0.1:{self.port}/{SECRET}"


@contextmanager
def listening() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(receiver.status)
            if receiver.location:
                self.send_header("Location", receiver.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *args) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with listening() as receiver:
        yield receiver


@contextmanager
def connections_made() -> Iterator[list[str]]:
    """Collect the addresses that were connected or sent to."""
    made: list[str] = []

    def listen(event: str, arguments: tuple) -> None:
        if listening_now and event in ("socket.connect", "socket.sendto") and isinstance(arguments[1], tuple):
            made.append(str(arguments[1][0]))

    listening_now = [True]
    with addresses.only_outside():
        pass  # its hook is the first, which leaves to the second what it does not refuse
    sys.addaudithook(listen)
    try:
        yield made
    finally:
        listening_now.clear()


@pytest.fixture
def urls(monkeypatch, settings):
    """Return what sets URLs; addresses of this machine are allowed."""
    settings.CLEANUP_ALERT_PRIVATE_ADDRESSES = True
    monkeypatch.delenv("CLEANUP_ALERT_URLS", raising=False)
    return lambda *given: monkeypatch.setenv("CLEANUP_ALERT_URLS", "\n".join(given))


def raise_an_alert(using: str) -> None:
    Verification.objects.using(using).create(ended_at=Now(), passed=False, counts={"several_roots": 3})
    alerts.evaluate(using=using)


def states(using: str) -> dict[str, str]:
    return dict(Alert.objects.using(using).values_list("fingerprint", "state"))


@pytest.fixture
def rebound(monkeypatch, settings, urls) -> str:
    """Return a name that leads outside when it is judged, and to this machine when it is used."""
    settings.CLEANUP_ALERT_PRIVATE_ADDRESSES = False
    resolve, asked = socket.getaddrinfo, []

    def rebinding(host, port, *more, **options):
        if host != "rebound.example.com":
            return resolve(host, port, *more, **options)
        asked.append(host)
        address = "9.9.9.9" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0))]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    return "rebound.example.com"


class TestApprise:
    def test_brings_the_alert(self, database, receiver, urls):
        urls(receiver.url)
        raise_an_alert(database)
        (received,) = receiver.received
        assert received["title"] == FOUND
        assert "manage.py database_cleanup --verify" in received["message"]

    def test_brings_each_alert_once(self, database, receiver, urls):
        urls(receiver.url)
        raise_an_alert(database)
        alerts.evaluate(using=database)
        alerts.deliver(using=database)
        assert (len(receiver.received), Alert.objects.using(database).get().notified_at is None) == (1, False)

    def test_says_what_to_install(self, database, receiver, urls, monkeypatch):
        urls(receiver.url)
        monkeypatch.setitem(sys.modules, "apprise", None)
        raise_an_alert(database)
        told = Alert.objects.using(database).get(code="channel_failed").message
        assert "without apprise. Run: pip install 'cleanup[alerts]'" in told
        assert "127.0.0.1" not in told  # what it is the host of, only Apprise knows

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.7", "169.254.169.254", "0.0.0.0"])
    def test_goes_nowhere_inside_the_network_unless_allowed(self, database, receiver, urls, settings, host):
        settings.CLEANUP_ALERT_PRIVATE_ADDRESSES = False
        urls(f"json://{host}:{receiver.port}/")
        raise_an_alert(database)
        assert receiver.received == []
        assert "inside the network" in Alert.objects.using(database).get(code="channel_failed").message

    def test_follows_no_redirect_into_the_network(self, database, receiver, urls, settings, monkeypatch):
        settings.CLEANUP_ALERT_PRIVATE_ADDRESSES = False
        for module in (channels, addresses):
            monkeypatch.setattr(module, "is_outside", lambda address: True)
        with listening() as inside:
            receiver.status, receiver.location = 302, f"http://127.0.0.1:{inside.port}/"
            urls(f"json://127.0.0.1:{receiver.port}/?redirect=yes")
            raise_an_alert(database)
            assert (len(receiver.received), inside.received) == (1, [])

    @pytest.mark.only("sqlite")
    @pytest.mark.parametrize(
        "url", ["json://{}/", "mailto://{}/?to=a@example.com&from=b@example.com&mode=insecure"], ids=["json", "mail"]
    )
    def test_goes_nowhere_inside_by_a_name_that_leads_elsewhere_the_second_time(
        self, database, receiver, urls, rebound, url
    ):
        urls(url.format(f"{rebound}:{receiver.port}"))
        with connections_made() as made:
            raise_an_alert(database)
        assert (receiver.received, made) == ([], [])
        assert "inside the network" in Alert.objects.using(database).get(code="channel_failed").message

    def test_of_this_machine_are_sent_if_allowed(self, database, receiver, urls):
        urls(receiver.url)
        with addresses.only_outside():
            pass  # the hook is there
        raise_an_alert(database)
        assert len(receiver.received) == 1

    @pytest.mark.only("sqlite")
    def test_goes_by_the_proxy_that_the_environment_names(self, database, receiver, urls, settings, monkeypatch):
        settings.CLEANUP_ALERT_PRIVATE_ADDRESSES = False
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{receiver.port}")
        urls("json://9.9.9.9/")
        raise_an_alert(database)
        assert len(receiver.received) == 1

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            (f"json://user:{SECRET}@hooks.example.com/{SECRET}", "json://hooks.example.com"),
            ("slack://TokenA1234/BBBBBBBB1/Aaaaaaaaaaaaaaaaaaaaaaaa", "slack://"),
            ("tgram://123456789:abcdefg_hijklmnop/12315544/", "tgram://"),
            (f"json:/{SECRET}", "no URL"),
            (f"nothing://{SECRET}", "nothing://"),
        ],
    )
    def test_is_shown_by_scheme_and_host(self, urls, url, shown):
        urls(url)
        assert [way.label for way in channels.channels()] == [shown]

    def test_that_is_no_url_is_an_alert(self, database, urls):
        urls(SECRET)
        raise_an_alert(database)
        assert states(database)["channel_failed:no URL"] == "open"

    def test_with_two_of_a_kind_tells_them_apart(self, urls):
        urls(
            "slack://TokenA1234/BBBBBBBB1/Aaaaaaaaaaaaaaaaaaaaaaaa",
            "slack://TokenA1234/BBBBBBBB2/Aaaaaaaaaaaaaaaaaaaaaaaa",
        )
        assert [way.label for way in channels.channels()] == ["slack://", "slack:// (2)"]

    def test_takes_its_urls_from_the_environment_alone(self, settings):
        settings.CLEANUP_ALERT_URLS = "json://hooks.example.com"
        with pytest.raises(MisconfiguredSetting, match="environment"):
            channels.channels()


class TestFailingChannel:
    def test_is_an_alert_and_keeps_the_other_from_nothing(self, database, receiver, urls, settings):
        settings.CLEANUP_ALERT_EMAILS = ["oncall@example.com"]
        receiver.status = 500
        urls(receiver.url)
        raise_an_alert(database)
        assert [message.subject.split(":")[1][:11] for message in mail.outbox] == [" The latest", " Notificati"]
        assert states(database) == {"verification_errors": "open", "channel_failed:json://127.0.0.1": "open"}

    def test_is_tried_again_and_caught_up(self, database, receiver, urls):
        receiver.status = 500
        urls(receiver.url)
        raise_an_alert(database)
        receiver.status = 200
        receiver.received.clear()
        alerts.evaluate(using=database)
        assert receiver.received[0]["title"].startswith("[cleanup] warning: The latest verification")
        assert states(database)["channel_failed:json://127.0.0.1"] == "resolved"

    def test_brings_nothing_twice_to_the_others(self, database, receiver, urls, settings):
        settings.CLEANUP_ALERT_EMAILS = ["oncall@example.com"]
        receiver.status = 500
        urls(receiver.url)
        raise_an_alert(database)
        sent = len(mail.outbox)
        alerts.evaluate(using=database)
        assert len(mail.outbox) == sent

    def test_that_is_taken_down_is_over(self, database, receiver, urls):
        receiver.status = 500
        urls(receiver.url)
        raise_an_alert(database)
        urls()
        alerts.evaluate(using=database)
        assert states(database)["channel_failed:json://127.0.0.1"] == "resolved"

    def test_never_fails_a_verification(self, database, urls):
        urls("json://127.0.0.1:1/")
        tree(database, f"{NAME}, {NAME}")
        assert not DatabaseCleanupService(using=database).verify_cleanup_integrity()["verification_passed"]
        assert states(database) == {"verification_errors": "open", "channel_failed:json://127.0.0.1": "open"}

    def test_keeps_its_secrets_out_of_rows_and_logs(self, database, receiver, urls, caplog):
        receiver.status = 500
        urls(receiver.url)
        raise_an_alert(database)
        stored = json.dumps(list(Alert.objects.using(database).values("message", "detail", "fingerprint")))
        assert SECRET not in stored + caplog.text

    def test_that_died_while_sending_leaves_it_to_the_next(self, database, receiver, urls):
        urls(receiver.url)
        raise_an_alert(database)
        Alert.objects.using(database).update(owed=True, sending_until=Now())
        assert alerts.deliver(using=database) == 1

    def test_that_is_sending_is_let_alone(self, database, receiver, urls):
        urls(receiver.url)
        raise_an_alert(database)
        Alert.objects.using(database).update(owed=True, sending_until=F("first_seen") + alerts._SENDING)
        assert alerts.deliver(using=database) == 0


def mail_by(settings, *, port: int) -> None:
    """Name a mail server that may take its time, in the settings of the Django at hand."""
    backend = "django.core.mail.backends.smtp.EmailBackend"
    if hasattr(settings, "MAILERS"):
        settings.MAILERS = {"default": {"BACKEND": backend, "OPTIONS": {"host": "127.0.0.1", "port": port}}}
    else:
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = backend, "127.0.0.1", port
        settings.EMAIL_TIMEOUT = None


class TestMail:
    @pytest.fixture
    def mailbox(self, settings) -> Iterator[list[Message]]:
        """Yield the mails that come to a real mail server on this machine."""
        received: list[Message] = []

        class Mailbox(MessageHandler):
            def handle_message(self, message: Message) -> None:
                received.append(message)

        class AtAnyPort(Controller):
            def _trigger_server(self) -> None:
                self.port = self.server.sockets[0].getsockname()[1]
                super()._trigger_server()

        controller = AtAnyPort(Mailbox(), hostname="127.0.0.1", port=0)
        controller.start()
        mail_by(settings, port=controller.port)
        settings.CLEANUP_ALERT_EMAILS = ["oncall@example.com"]
        try:
            yield received
        finally:
            controller.stop()

    def test_arrives(self, database, mailbox, urls):
        raise_an_alert(database)
        (message,) = mailbox
        assert " ".join(message["Subject"].split()) == FOUND
        assert message["To"] == "oncall@example.com"

    def test_that_no_server_takes_is_an_alert(self, database, mailbox, urls, settings):
        mail_by(settings, port=1)
        raise_an_alert(database)
        assert states(database) == {"verification_errors": "open", "channel_failed:email": "open"}

    def test_is_given_up_where_the_server_says_nothing(self, database, mailbox, urls, settings, monkeypatch):
        monkeypatch.setattr(channels, "_PATIENCE", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            mail_by(settings, port=silent.getsockname()[1])
            raise_an_alert(database)
        assert states(database) == {"verification_errors": "open", "channel_failed:email": "open"}


class TestCommand:
    def run(self, using: str, *arguments: str) -> tuple[int, str]:
        out = StringIO()
        try:
            call_command("cleanup_alerts", *arguments, database=using, stdout=out, stderr=StringIO())
        except SystemExit as end:
            return int(end.code), out.getvalue()
        return 0, out.getvalue()

    def test_lists_what_is_wrong(self, database, urls):
        Verification.objects.using(database).create(ended_at=Now(), passed=False, counts={"several_roots": 3})
        status, text = self.run(database)
        assert (status, "found 3 places with duplicates" in text) == (1, True)

    def test_says_that_all_is_well(self, database, urls):
        assert self.run(database) == (0, "There are no alerts.\n")

    def test_gives_json(self, database, urls):
        raise_an_alert(database)
        _, text = self.run(database, "--json")
        assert json.loads(text)["alerts"][0]["code"] == "verification_errors"

    def test_acknowledges(self, database, urls):
        raise_an_alert(database)
        assert self.run(database, "--acknowledge", str(Alert.objects.using(database).get().pk))[0] == 0
        assert states(database) == {"verification_errors": "acknowledged"}

    def test_tries_every_channel(self, database, receiver, urls):
        urls(receiver.url, "json://127.0.0.1:1/")
        status, text = self.run(database, "--test")
        assert (status, text) == (1, "json://127.0.0.1: works\njson://127.0.0.1 (2): not accepted\n")
