import json

from training.reproduction.results import Reproduction


def test_results_survive_json(results):
    stored = json.dumps(results.model_dump(mode="json"))
    assert Reproduction.model_validate(json.loads(stored)) == results
