"""Hosts whose models are unlike ours: each works, or is told in words what to change."""

from collections.abc import Iterator

import pytest

from tests.acceptance import hosts
from tests.support import databases
from tests.support.trees import execute


@pytest.fixture
def url(blank_database) -> Iterator[str]:
    yield databases.url_of(blank_database)
    hosts.unload()


class TestQuotedTableNames:
    def assert_works(self, host: hosts.Host) -> None:
        host.prepare()
        host.done("database_cleanup", "--preflight")
        assert "1 cleaned up" in host.done("database_cleanup", "--cleanup", "--no-input")
        host.done("migrate", "cleanup_guards", "--verbosity", "0")
        assert "no errors" in host.done("database_cleanup", "--verify")

    def test_may_hold_a_blank(self, tmp_path, url):
        models = hosts.MODELS.replace(
            "    created = models.DateTimeField(auto_now_add=True)\n",
            "    created = models.DateTimeField(auto_now_add=True)\n\n"
            "    class Meta:\n        db_table = '\"my folder\"'\n",
        )
        self.assert_works(hosts.make(tmp_path, url=url, models=models))

    @pytest.mark.only("postgresql")
    def test_may_name_a_schema(self, tmp_path, url, blank_database):
        execute(blank_database, "CREATE SCHEMA archive")
        models = hosts.MODELS.replace(
            "    created = models.DateTimeField(auto_now_add=True)\n",
            "    created = models.DateTimeField(auto_now_add=True)\n\n"
            "    class Meta:\n        db_table = 'archive\".\"folder'\n",
        )
        self.assert_works(hosts.make(tmp_path, url=url, models=models))


class TestModels:
    def test_without_migrations_in_their_package_are_told_the_command(self, tmp_path, url):
        host = hosts.make(tmp_path, url=url)
        (tmp_path / "host" / "migrations").mkdir()
        (tmp_path / "host" / "migrations" / "__init__.py").touch()
        assert "cleanup.E010" in (told := host.refused("migrate", "cleanup"))
        assert "manage.py makemigrations host" in told
        assert "manage.py migrate cleanup" in host.refused("database_cleanup", "--preflight")
        host.done("makemigrations", "host")
        host.done("migrate", "--verbosity", "0")

    def test_by_multi_table_inheritance_are_refused(self, tmp_path, url):
        models = hosts.MODELS + "\nclass Scan(Document):\n    pages = models.IntegerField(default=1)\n"
        host = hosts.make(tmp_path, url=url, models=models, settings='CLEANUP_FILE_MODEL = "host.Scan"')
        for words in (["check"], ["migrate", "--run-syncdb"], ["database_cleanup", "--preflight"]):
            told = host.refused(*words)
            assert "cleanup.E003" in told
            assert "host.Scan inherits from host.Document" in told

    def test_with_a_parent_known_by_another_column_are_refused(self, tmp_path, url):
        models = hosts.MODELS.replace('("self", models.CASCADE,', '("self", models.CASCADE, to_field="code",')
        models = models.replace("    created", "    code = models.CharField(max_length=9, unique=True)\n    created")
        told = hosts.make(tmp_path, url=url, models=models).refused("check")
        assert "host.Folder.parent refers to code, which is not the primary key of host.Folder" in told

    def test_with_a_many_to_many_field_in_a_part_are_refused(self, tmp_path, url):
        models = hosts.MODELS.replace("    created", '    above = models.ManyToManyField("self")\n    created')
        settings = 'CLEANUP_FOLDER_FIELDS["parent"] = "above"'
        told = hosts.make(tmp_path, url=url, models=models, settings=settings).refused("check")
        assert "cleanup.E003" in told
        assert "host.Folder.above is a many-to-many field" in told


@pytest.mark.only("sqlite")
class TestOtherDatabases:
    def test_are_refused_before_anything_is_made(self, tmp_path, url):
        engine = tmp_path / "engine"
        engine.mkdir()
        (engine / "__init__.py").touch()
        (engine / "base.py").write_text(
            "from django.db.backends.sqlite3 import base\n\n\n"
            "class DatabaseWrapper(base.DatabaseWrapper):\n    vendor = 'mysql'\n    display_name = 'MariaDB'\n",
            encoding="utf-8",
        )
        host = hosts.make(tmp_path, url=url, settings='DATABASES["default"]["ENGINE"] = "engine"')
        told = host.refused("migrate", "--run-syncdb")
        assert "cleanup.E008" in told
        assert "MariaDB" in told
        assert (
            "no such table"
            in host.manage("shell", stdin="from host.models import Case; print(Case.objects.count())").stdout
        )
