from tests.benchmarks.peers import BATCHES, fastest_batch


def test_a_peer_uses_the_batch_of_its_fastest_whole_command():
    steady, whole = {8: 30.0, 16: 31.0, 64: 40.0}, {8: 20.0, 16: 25.0, 64: 24.0}
    tried = []

    def way(batch):
        tried.append(batch)
        return {"ray_data_per_s": steady[batch], "ray_data_with_start_per_s": whole[batch]}

    assert fastest_batch("ray_data", way) == 16
    assert tuple(tried) == BATCHES
