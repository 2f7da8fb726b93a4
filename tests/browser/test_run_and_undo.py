"""The page of a run and the confirmation of its undo, as an administrator sees them."""

import pytest
from django.urls import reverse

from cleanup.models import Run
from cleanup.services import DatabaseCleanupService
from tests.browser.conftest import ALIAS
from tests.support.model_roles import File
from tests.support.trees import tree

pytestmark = [pytest.mark.mapped_models("one look in a browser is enough"), pytest.mark.slow]


def test_are_readable_on_a_telephone(person, site, tmp_path):
    service = DatabaseCleanupService(using=ALIAS)
    keys = [tree(ALIAS, f"Loan {number}/{{Docs(scan.pdf), Docs(plan.pdf)}}").application for number in (14, 15)]
    service.hold(keys[1])
    run = Run.objects.using(ALIAS).get(pk=service.cleanup_all_duplicate_folders(applications=keys).run_id)
    File.objects.using(ALIAS).filter(filename="plan.pdf", application=keys[0]).update(folder_id=None)
    ann = person()
    pages = {
        reverse("admin:cleanup_run_change", args=[run.pk]): "Loan 15",
        reverse("admin:cleanup_undo_run", args=[run.pk]): "“plan.pdf”: taken out of its folder since.",
    }
    for number, (page, words) in enumerate(pages.items()):
        for width in (1280, 390):
            ann.page.set_viewport_size({"width": width, "height": 900})
            ann.go(page)
            ann.sees(words)
            ann.page.screenshot(path=tmp_path / f"{number}-{width}.png", full_page=True)
            assert ann.overflow() <= 0
            assert ann.barriers() == []
