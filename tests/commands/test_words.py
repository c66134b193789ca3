"""What the command line says of a bad list, format or parameter, and of what a queued run starts from."""


def test_a_bad_count_is_answered_with_an_example_of_counts(refused):
    assert "as in 10,20" in refused("terms", "class_balanced", "--counts", "10,x")
    assert "as in 0.9,0.7" in refused("terms", "tpr_ratio", "--tpr", "0.9,x")


def test_an_unknown_format_is_told_without_the_words_of_a_library(refused):
    said = refused("export", 1, "--format", "pdf")
    assert "'pdf' is not one of 'csv', 'json', 'html'" in said
    assert "Value error" not in said


def test_a_run_that_is_queued_says_what_was_made_up_for_a_class_without_a_tpr(call, tmp_path):
    file = tmp_path / "tprs.csv"
    file.write_text("\n".join(["nan", "0", *["0.8"] * 8]))
    done = call(
        "run",
        "--dataset",
        "digits",
        "--model",
        "mlp",
        "--epochs",
        1,
        "--method",
        "tpr_ratio",
        "--param",
        "exponent=2",
        "--tpr",
        file,
        "--json",
    )
    assert "note: Class 0: no TPR" in done.err
    assert "note: Class 1 holds 9" in done.err
    call("stop", done.data["id"])
