from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest
import torch

from latentface.evaluation.figures import Evaluation, Figure, mean_figure, set_figure


def test_the_interval_of_a_mean_holds_the_truth_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(0)
    inside = 0
    for trial in range(200):
        figure = mean_figure(random.normal(3.0, 1.0, 60).tolist(), seed=trial)
        inside += figure.low <= 3.0 <= figure.high
    assert 0.88 <= inside / 200 <= 0.99


def test_what_is_not_a_number_is_left_out() -> None:
    figure = mean_figure([1.0, math.nan, 3.0])
    assert (figure.value, figure.count) == (2.0, 2)
    assert mean_figure([math.nan]).count == 0 and math.isnan(mean_figure([]).value)
    alone = mean_figure([5.0])
    assert alone.value == 5.0 and math.isnan(alone.low)
    assert mean_figure([math.inf, 1.0]).value == math.inf


def test_halves_tell_how_far_a_measure_of_sets_may_be_off() -> None:
    def shift(a: torch.Tensor, b: torch.Tensor) -> float:
        return float(a.mean() - b.mean())

    random = torch.Generator().manual_seed(1)
    a, b = torch.randn(400, 1, generator=random), torch.randn(400, 1, generator=random)
    figure = set_figure(shift, a, b)
    assert figure.value == pytest.approx(shift(a, b)) and figure.count == 400
    width = (figure.high - figure.low) / 2
    assert width == pytest.approx(1.96 * math.sqrt(2 / 400), rel=0.5)  # the standard error of a difference of means
    assert math.isnan(set_figure(shift, a[:7], b).low)


def test_a_report_is_a_table_for_people_and_one_for_programs() -> None:
    figures = {"psnr": Figure(31.5, 30.0, 33.0, 12), "identity": Figure(0.9, math.nan, math.nan, 1)}
    rows = {"a.png": {"psnr": 31.5}, 'b "2", c.png': {"psnr": 30.0, "ssim": 0.5}}
    found = Evaluation("pairs", figures, {"identity": "identity (0123)"}, rows)
    first, second = found.table().splitlines()
    assert first.split() == ["psnr", "31.5", "[30,", "33]", "n", "=", "12"] and "[" not in second
    table = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert [row["name"] for row in table] == list(rows)
    assert table[1]["ssim"] == "0.5" and table[0]["ssim"] == "nan"
