import numpy as np

from hf_strategies.prompting.calibration import calibrated, contextual_baseline, log_probabilities, per_token
from hf_strategies.prompting.prompts import Prompt


def test_log_probabilities_sum_to_one_however_unlikely_the_words_are():
    found = np.exp(log_probabilities(np.array([[-1000.0, -1000.0 + np.log(3)]])))
    np.testing.assert_allclose(found, [[0.25, 0.75]])


def test_a_word_that_is_likely_without_a_question_loses_that_lead():
    """Content-free (0.75, 0.25) and (0.65, 0.35): on average 0.7 to 0.3; 0.6 to 0.4 is then 6/7 to 4/3."""
    baseline = contextual_baseline(np.log([[0.75, 0.25], [0.065, 0.035]]))
    np.testing.assert_allclose(np.exp(baseline), [0.7, 0.3])
    found = np.exp(calibrated(np.log([[0.6, 0.4]]), baseline))
    np.testing.assert_allclose(found, [[(6 / 7) / (6 / 7 + 4 / 3), (4 / 3) / (6 / 7 + 4 / 3)]])


def test_what_is_asked_behind_a_content_free_input_is_calibrated_to_a_tie():
    free = np.log([[0.2, 0.05, 0.15]])
    np.testing.assert_allclose(np.exp(calibrated(free, contextual_baseline(free))), [[1 / 3, 1 / 3, 1 / 3]])


def test_mutual_information_takes_the_premises_own_likelihoods_off():
    """log(0.02 / 0.1) against log(0.01 / 0.01): the word that the premise alone makes likely loses."""
    found = np.exp(calibrated(np.log([[0.02, 0.01]]), np.log([0.1, 0.01])))
    np.testing.assert_allclose(found, [[0.2 / 1.2, 1.0 / 1.2]])


def test_log_likelihoods_are_divided_by_their_words_tokens():
    prompts = [Prompt([1], [[2], [3, 4]]), Prompt([1], [[2], [3, 4, 5]])]
    np.testing.assert_array_equal(per_token(np.array([[-1.0, -4.0], [-1.0, -3.0]]), prompts), [[-1, -2], [-1, -1]])
