"""The history of requests is read anew once anybody asked anything, and else kept as it was."""

from support.tiny_world import BENCHMARK, Project, World

from assets.descriptions.asking import read_asked
from resources.lake import Lake
from resources.language_model.ledger import Ledger
from resources.language_model.prices import Prices
from resources.language_model.requests import make_intent
from resources.tables import REQUESTS


def test_history_is_made_again_once_anything_was_asked_and_else_kept(tmp_path):
    def requests():
        return len(Lake(settings.lake_dir).read(REQUESTS, BENCHMARK))

    project = Project(tmp_path)
    project.write(World())
    settings = project.settings()
    assert "requests" in project.refresh()
    before = requests()
    assert project.refresh() == {}

    asked = read_asked(settings, BENCHMARK)
    question = asked.questions(asked.prompts[0])[0]
    with Ledger.in_folder(settings.cache_dir) as ledger:
        ledger.intend([make_intent((question,), "text", Prices(models={}))]).result()
    assert list(project.refresh()) == ["requests"]
    assert requests() == before + 1
