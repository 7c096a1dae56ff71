"""Bad files are refused by `ticketlens.exchange` in one clear line, and run no code."""

from __future__ import annotations

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
import torch

from foreign_model import sequential
from ticketlens import exchange
from ticketlens.exchange import ForeignFileError


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


def npy(array, shape=None):
    buffer = io.BytesIO()
    if shape is None:
        np.save(buffer, array, allow_pickle=True)
    else:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(buffer, header)
        buffer.write(array.tobytes())
    return buffer.getvalue()


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name + ".npy", content)
    return buffer.getvalue()


def safe(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(shape, begin, end, kind="F32"):
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}


BAD = {
    "empty.safetensors": (b"", "not a safetensors file"),
    "long.safetensors": (b"\xff" * 8 + b"{}", "not a safetensors file"),
    "json.safetensors": (safe(b"{nonsense}"), "not JSON"),
    "deep.safetensors": (safe(b"[" * 10**5), "not JSON"),
    "list.safetensors": (safe([1]), "not an object"),
    "none.safetensors": (safe({}), "no tensors"),
    "cut.safetensors": (safe({"a.weight": entry([2, 2], 0, 16)}, b"123"), "ends beyond the file"),
    "wrong.safetensors": (safe({"a.weight": entry([2, 3], 0, 16)}, b"0" * 16), "16 bytes for"),
    "huge.safetensors": (safe({"a.weight": entry([2**40, 2**40], 0, 16)}, b"0" * 16), "bytes for"),
    "negative.safetensors": (safe({"a.weight": entry([-1, 2], 0, 16)}, b"0" * 16), "not numbers"),
    "twice.safetensors": (
        safe(b'{"a.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
             b'"a.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"0000"),
        "stands twice",
    ),
    "overlap.safetensors": (
        safe({f"{n}.weight": entry([2, 2], 0, 16) for n in "ab"}, b"0" * 16), "overlap",
    ),
    "fp8.safetensors": (safe({"a.weight": entry([2, 2], 0, 4, "F8_E4M3")}, b"0" * 4), "dequantise"),
    "nan.safetensors": (
        safe({"a.weight": entry([1, 1], 0, 4)}, np.float32("nan").tobytes()), "not finite",
    ),
    "vector.safetensors": (safe({"a.weight": entry([4], 0, 16)}, b"0" * 16), "no layer with a 2-D"),
    "empty.npz": (b"", "not a whole .npz"),
    "text.npz": (b"hello", "not a whole .npz"),
    "pickle.npz": (zipped(a=npy(np.array([Evil()], dtype=object))), "which are pickles"),
    "bomb.npz": (zipped(a=npy(np.zeros(4, np.float32), (2**20, 2**20))), "more than its member"),
    "half.npz": (zipped(a=npy(np.zeros((4, 4), np.float32)))[:-40], "not a whole .npz"),
    "empty.pt": (b"", "PyTorch file"),
    "text.pt": (b"hello world", "PyTorch file"),
    "evil.pt": (pickle.dumps(Evil()), "could run code|PyTorch file"),
    "page.pth": (b"<!DOCTYPE html><html>", "neither a zip nor a pickle"),
    "pointer.pt": (b"version https://git-lfs.github.com/spec/v1\nsize 9\n", "git lfs pull"),
    "model.onnx": (b"\x08\x07", "suffix '.onnx'"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_one_clear_line_and_run_no_code(tmp_path, name, capsys):
    content, message = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ForeignFileError, match=message) as caught:
        exchange.read(tmp_path / name)
    assert name in str(caught.value) and "\n" not in str(caught.value)
    assert "code ran" not in capsys.readouterr().out


def test_a_pickled_module_is_refused_with_the_way_out(tmp_path):
    torch.save(sequential(), tmp_path / "module.pt")
    with pytest.raises(ForeignFileError, match=r"save `model.state_dict\(\)`"):
        exchange.read(tmp_path / "module.pt")


def test_a_zip_with_compressed_weights_is_refused_not_read_as_other_weights(tmp_path):
    """A memory-mapped torch.load takes compressed bytes for weights, without a word (2.13)."""
    torch.save({"a.weight": torch.zeros(4, 4)}, tmp_path / "plain.pt")
    new = zipfile.ZipFile(tmp_path / "zipped.pt", "w", zipfile.ZIP_DEFLATED)
    with new, zipfile.ZipFile(tmp_path / "plain.pt") as old:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member))
    with pytest.raises(ForeignFileError, match=r"zipped.pt: .*compressed"):
        exchange.read(tmp_path / "zipped.pt")


def test_a_tensor_that_poses_as_a_large_one_is_refused(tmp_path):
    torch.save({"a.weight": torch.zeros(1).expand(2**14, 2**14)}, tmp_path / "wide.pt")
    with pytest.raises(ForeignFileError, match="more than its storage holds"):
        exchange.read(tmp_path / "wide.pt")


def test_every_cut_of_a_file_is_refused(tmp_path, make_ticket):
    for name in ("t.safetensors", "t.pt"):
        path = tmp_path / name
        exchange.write(make_ticket(0.5), path)
        whole = path.read_bytes()
        for length in range(0, len(whole), max(1, len(whole) // 25)):
            path.write_bytes(whole[:length])
            with pytest.raises(ForeignFileError, match=name):
                exchange.read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a.mask": torch.full((2, 3), 0.5)}, "values other than 0 and 1"),
        ({"a.mask": torch.ones(3, 2)}, r"mask has shape \(3, 2\)"),
        ({"a.bias": torch.ones(5)}, "bias has shape"),
        ({"a.mask": torch.ones(2, 3), "a.weight_mask": torch.ones(2, 3)}, "two of a kind"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_by_layer(tmp_path, change, message):
    torch.save({"a.weight": torch.ones(2, 3)} | change, tmp_path / "m.pt")
    with pytest.raises(ForeignFileError, match=message) as caught:
        exchange.read(tmp_path / "m.pt")
    assert "layer a" in str(caught.value)


def test_masks_of_layers_that_are_not_there_are_refused(tmp_path):
    torch.save({"a.weight": torch.ones(2, 3)}, tmp_path / "m.pt")
    np.savez(tmp_path / "masks.npz", **{"b.weight": np.ones((2, 3), bool)})
    with pytest.raises(ForeignFileError, match=r"b\.weight is not the mask of a layer; layers: a"):
        exchange.read(tmp_path / "m.pt", masks=tmp_path / "masks.npz")
    with pytest.raises(FileNotFoundError, match="no such file"):
        exchange.read(tmp_path / "absent.pt")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ForeignFileError, match="not the folder of an open_lth level"):
        exchange.read(tmp_path / "folder")
