from __future__ import annotations

import gzip

import numpy as np
import pytest

from common.datasets import load_dataset, read_features
from common.errors import GradcodeError, InvalidData, InvalidSpec


@pytest.fixture
def write(tmp_path):
    def written(text, name="table.csv"):
        path = tmp_path / name
        content = text if isinstance(text, bytes) else text.encode()
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return str(path)

    return written


def whole(path, target, **arguments):
    """All rows, back in the order of the file, which the column called row tells."""
    data = load_dataset(path, target=target, held_out=0.0, standardise=False, **arguments)
    order = np.argsort(data.X_train[:, data.feature_names.index("row")])
    return data, data.X_train[order], data.y_train[order]


TEXT = "row,size,kind\n1,2.5,cat\n2,-1e3,dog\n3,0,cat\n4,7,emu\n"


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "TABLE.CSV"])
def test_numbers_and_text_labels(write, name):
    data, X, y = whole(write(TEXT, name), "kind")
    assert data.feature_names == ("row", "size")
    np.testing.assert_array_equal(X, [[1, 2.5], [2, -1000], [3, 0], [4, 7]])
    assert (data.task, data.classes) == ("classes", ("cat", "dog", "emu"))
    assert y.tolist() == [0, 1, 0, 2]
    assert data.name == name


def test_the_target_may_be_any_column(write):
    data, X, y = whole(write("row,price,size\n1,2.5,10\n2,3.5,20\n3,1.25,30\n"), "price")
    assert data.feature_names == ("row", "size")
    assert (data.task, data.classes) == ("regression", ())
    np.testing.assert_array_equal(X, [[1, 10], [2, 20], [3, 30]])
    assert y.tolist() == [2.5, 3.5, 1.25]


def test_spreadsheet_habits(write):
    """A byte order mark, quotes, spaces, Windows line ends and blank lines."""
    data, X, y = whole(
        write('\ufeff"row", y ,"a ""b"""\r\n\r\n"1", 5 , 2\r\n2,6,"3"\r\n\r\n'), "y", task="regression"
    )
    assert data.feature_names == ("row", 'a "b"')
    np.testing.assert_array_equal(X, [[1, 2], [2, 3]])
    assert y.tolist() == [5.0, 6.0]


def test_one_feature(write):
    data, X, _ = whole(write("y,row\n1,10\n2,20\n1,30\n"), "y")
    np.testing.assert_array_equal(X, [[10], [20], [30]])
    assert data.task == "binary"


def test_a_task_decides_about_mixed_labels(write):
    path = write("row,grade\n1,1\n2,2\n3,3+\n")
    with pytest.raises(
        InvalidData, match=r"table.csv line 4, column grade: must be a number as in other rows"
    ):
        load_dataset(path, target="grade")
    data, _, y = whole(path, "grade", task="classification")
    assert data.classes == ("1", "2", "3+")
    assert y.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "data file: must not be empty"),
        ("\n\n\n", "table.csv: must have a header row"),
        ("a,y\n", "table.csv: must have at least one row below the header"),
        ("a,y\n\n\n", "table.csv: must have at least one row below the header"),
        ("y\n1\n2\n", "table.csv: must have a column besides the target"),
        ("a,a,y\n1,2,3\n", "table.csv header: must name every column once, got 'a'"),
        ("a,y\n1,2\nx,1\n", "table.csv line 3, column a: must be a number, got 'x'"),
        ("a,y\n1,2\n\n\n,1\n", "table.csv line 5, column a: must be a number, got ''"),
        ("a,y\n1,2\n1,2,3\n", "table.csv line 3: must have 2 cells, got 3"),
        ("a,y\n1,2\n1\n", "table.csv line 3: must have 2 cells, got 1"),
        ("a,b,y\n1,2,0\n\n1,nan,1\n", "table.csv line 4, column b: must be finite, got nan"),
        ("a,b,y\n1,2,0\n-inf,3,1\n", "table.csv line 3, column a: must be finite, got -inf"),
        ("a,b,y\n1,1e999,0\n", "table.csv line 2, column b: must be finite, got inf"),
        ("a,y\n1,2\n2,nan\n", "table.csv line 3, column y: must be finite, got nan"),
        ("a,y\n1,b\n2,\n", "table.csv line 3, column y: must not be empty, got ''"),
        ("a,y\n1,4\n2,4\n", "table.csv labels: must have at least two classes, got [4]"),
        (b"a,y\n1,\xff\n", "data file: must be text in UTF-8"),
        ("a,z\n1,2\n", "target: must name a column of table.csv (a, z), got 'y'"),
        ('a,y\n1,"' + "x" * 200_000 + '"\n', "table.csv line 2: must be comma-separated text"),
    ],
)
def test_bad_files_get_one_line(write, text, message):
    with pytest.raises(InvalidData) as caught:
        load_dataset(write(text), target="y")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_text_labels_are_refused_for_regression(write):
    with pytest.raises(InvalidData, match=r"line 2, column y: must be a number, got 'b'"):
        load_dataset(write("a,y\n1,b\n2,c\n"), target="y", task="regression")


def test_the_target_is_never_guessed(write):
    with pytest.raises(
        InvalidData, match=r"target: must name a column of table.csv \(row, size, kind\), got None"
    ):
        load_dataset(write(TEXT))


def test_of_many_columns_an_error_shows_a_few(write):
    header = ",".join(f"c{i}" for i in range(40))
    with pytest.raises(InvalidData, match=r"c10, c11 and 28 more\), got 'y'"):
        load_dataset(write(header + "\n"), target="y")


def test_a_file_that_is_not_compressed_although_its_name_says_so(tmp_path):
    (tmp_path / "plain.csv.gz").write_text(TEXT)
    with pytest.raises(InvalidData, match="data file: must be readable"):
        load_dataset(str(tmp_path / "plain.csv.gz"), target="kind")


def test_a_compressed_file_that_is_cut_off(tmp_path):
    text = "a,y\n" + "1,2\n3,4\n" * 1000
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(text.encode())[:-12])
    with pytest.raises(InvalidData, match="data file: must be whole"):
        load_dataset(str(tmp_path / "cut.csv.gz"), target="y")


def test_what_is_no_file(tmp_path):
    with pytest.raises(InvalidData, match="data file: must exist"):
        load_dataset(str(tmp_path / "absent.csv"), target="y")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(InvalidData, match="data file: must be readable"):
        load_dataset(str(tmp_path / "folder.csv"), target="y")


def test_unknown_sources_and_tasks(write):
    for source in ("digit", "table.parquet", "dir/table.txt", "", "synthetic(rows="):
        with pytest.raises(InvalidSpec, match="data source"):
            load_dataset(source)
    with pytest.raises(InvalidSpec, match="data task: must be one of regression, classification"):
        load_dataset(write(TEXT), target="kind", task="ranking")


def test_features_to_predict_are_found_by_name(write):
    path = write("kind,size,note,row\ncat,2.5,hello,1\n,3.5,,2\n")
    np.testing.assert_array_equal(read_features(path, ["row", "size"]), [[1, 2.5], [2, 3.5]])
    np.testing.assert_array_equal(read_features(path, ["size"]), [[2.5], [3.5]])
    with pytest.raises(
        InvalidData, match=r"table.csv: must have the column weight, got 'kind, size, note, row'"
    ):
        read_features(path, ["row", "weight"])
    with pytest.raises(InvalidData, match="line 2, column note: must be a number"):
        read_features(path, ["note"])
    with pytest.raises(GradcodeError, match="data source: must be a file"):
        read_features("digits", ["row"])


def test_columns_that_are_ignored_need_not_hold_numbers(tmp_path):
    file = tmp_path / "houses.csv"
    file.write_text("id,date,rooms,price\n1,monday,2,10.5\n2,tuesday,3,11.5\n3,sunday,4,12.5\n")
    data = load_dataset(str(file), target="price", ignore=("date", "id"), held_out=0.0)
    assert data.feature_names == ("rooms",)


@pytest.mark.parametrize("ignore", [("colour",), ("price",)])
def test_only_other_columns_of_the_file_can_be_ignored(tmp_path, ignore):
    file = tmp_path / "houses.csv"
    file.write_text("rooms,price\n2,10.5\n3,11.5\n")
    with pytest.raises(InvalidData, match=r"ignore: must name columns of houses\.csv besides the target"):
        load_dataset(str(file), target="price", ignore=ignore)


def test_there_is_nothing_to_ignore_where_there_are_no_columns():
    with pytest.raises(InvalidSpec, match="ignore: must be left out: digits is no CSV file"):
        load_dataset("digits", ignore=("pixel_0",))
