from hf_strategies.training import StrategyTrainer


class Rows(list):
    pass


class OrderedRows(Rows):
    keeps_order = True


def test_data_that_are_the_samples_of_a_run_are_read_in_their_own_order(tiny_lm, token_rows, arguments):
    def order(rows):
        return list(StrategyTrainer(model=tiny_lm, args=arguments(), train_dataset=rows)._get_train_sampler())

    assert order(OrderedRows(token_rows)) == list(range(32))
    assert order(Rows(token_rows)) != list(range(32))
