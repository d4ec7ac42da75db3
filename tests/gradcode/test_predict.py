from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from common.datasets import Dataset, load_dataset
from common.errors import InvalidData, InvalidSpec
from common.folder import RunFolder, SavedModel
from common.models import make_model
from gradcode.predict import predict


def trained(
    folder: Path, data: Dataset, model_name: str = "auto", target: str = "", **changes: object
) -> SavedModel:
    """A few steps of gradient descent, saved as the master saves them."""
    shape = data.model_shape(model_name)
    model = make_model(shape)
    parameters = model.initial()
    rate = 1.0 / (1.0 + np.linalg.norm(data.X_train, 2) ** 2)
    for _ in range(100):
        parameters -= rate * model.loss_and_gradient(parameters, data.X_train, data.y_train)[1]
    values = {
        "model": shape.name,
        "parameters": parameters,
        "n_features": shape.n_features,
        "n_outputs": shape.n_outputs,
        "intercept": shape.intercept,
        "classes": np.asarray(data.classes) if data.classes else None,
        "mean": data.mean,
        "scale": data.scale,
        "feature_names": data.feature_names,
        "target": target,
    }
    saved = SavedModel(**{**values, **changes})
    with RunFolder(folder) as run:
        run.write_parameters(saved)
    return saved


def table(path: Path, names: tuple[str, ...], X: np.ndarray) -> str:
    lines = [",".join(names), *(",".join(map(repr, row)) for row in X.tolist())]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.mark.parametrize(
    ("source", "model_name"),
    [
        ("digits", "softmax"),
        ("breast_cancer", "logistic"),
        ("breast_cancer", "linear"),
        ("diabetes", "linear"),
    ],
)
@pytest.mark.parametrize("standardise", [True, False])
def test_predictions_are_the_model_s_own_in_the_labels_of_the_source(
    tmp_path, source, model_name, standardise
):
    raw = load_dataset(source, held_out=0.3, standardise=False)
    data = load_dataset(source, held_out=0.3, standardise=standardise)
    saved = trained(tmp_path / "run", data, model_name)
    file = table(tmp_path / "rows.csv", raw.feature_names, raw.X_held)
    found = predict(tmp_path / "run", file).labels
    own = make_model(data.model_shape(model_name)).predict(saved.parameters, data.X_held)
    if data.task == "regression":
        np.testing.assert_allclose(found, own, rtol=1e-12)
    else:
        classes = np.asarray(data.classes)
        expected = classes[own] if data.task == "classes" else classes[(own > 0).astype(int)]
        assert found.tolist() == expected.tolist()
        assert set(found.tolist()) <= set(data.classes)
        truth = classes[data.y_held] if data.task == "classes" else classes[(data.y_held > 0).astype(int)]
        assert np.mean(found == truth) > (0.75 if standardise else 0.3)


def test_columns_are_found_by_name_in_any_order_and_among_others(tmp_path):
    lines = ["size,kind,weight", *(f"{i % 7},{'ab'[i % 7 > 3]},{-(i % 7)}" for i in range(70))]
    (tmp_path / "train.csv").write_text("\n".join(lines))
    trained(tmp_path / "run", load_dataset(str(tmp_path / "train.csv"), target="kind"), target="kind")
    (tmp_path / "new.csv").write_text("note,weight,size\nx,-6,6\ny,0,0\n")
    assert predict(tmp_path / "run", str(tmp_path / "new.csv")).to_csv() == "kind\nb\na\n"


def test_an_npz_file_with_rows_only(tmp_path):
    data = load_dataset("digits", standardise=False)
    trained(tmp_path / "run", data)
    np.savez(tmp_path / "rows.npz", X=data.X_held)
    answer = predict(tmp_path / "run", str(tmp_path / "rows.npz"))
    assert answer.column == "prediction"
    assert answer.labels.shape == data.y_held.shape


def test_the_parameters_file_itself_will_do(tmp_path):
    data = load_dataset("diabetes", standardise=False)
    trained(tmp_path / "run", data)
    np.savez(tmp_path / "rows.npz", X=data.X_held)
    by_folder = predict(tmp_path / "run", str(tmp_path / "rows.npz")).labels
    by_file = predict(tmp_path / "run" / "parameters.npz", str(tmp_path / "rows.npz")).labels
    assert by_folder.tolist() == by_file.tolist()


def test_what_cannot_be_predicted_is_told_in_one_line(tmp_path):
    data = load_dataset("diabetes")
    trained(tmp_path / "run", data)
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n")
    for folder, source, kind, said in [
        ("run", "wrong.csv", InvalidData, "must have the column age"),
        ("run", "missing.csv", InvalidData, "must exist"),
        ("run", "rows.txt", InvalidSpec, "must be a file ending in"),
        ("no-run", "wrong.csv", InvalidData, "run folder: must hold"),
    ]:
        with pytest.raises(kind, match=said) as caught:
            predict(tmp_path / folder, str(tmp_path / source))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"parameters": np.zeros(5)}, "must hold 11 parameters for linear"),
        ({"parameters": np.full(11, np.nan)}, "must hold finite parameters"),
        ({"feature_names": ("a", "b")}, "must name 10 features"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(tmp_path, changes, said):
    trained(tmp_path / "run", load_dataset("diabetes"), **changes)
    np.savez(tmp_path / "rows.npz", X=np.zeros((2, 10)))
    with pytest.raises(InvalidData, match=said):
        predict(tmp_path / "run", str(tmp_path / "rows.npz"))
