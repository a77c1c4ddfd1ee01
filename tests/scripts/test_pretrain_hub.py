"""Pushing to the Hub, against a server on this machine that answers as the Hub does."""

import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAME = "someone/tiny"


class LittleHub(BaseHTTPRequestHandler):
    """Accepts one repository's commits and keeps their files."""

    def do_GET(self) -> None:
        self._answer({"name": "someone", "type": "user"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/repos/create"):
            self._answer({"url": f"{self.server.address}/{NAME}", "name": NAME})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            self._answer(
                {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]}
            )
        elif "/commit/" in self.path:
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    self.server.files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            self._answer(
                {
                    "success": True,
                    "commitOid": "0" * 40,
                    "commitUrl": f"{self.server.address}/{NAME}/commit/{'0' * 40}",
                }
            )
        else:
            self._answer({})

    def _answer(self, content: dict) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), LittleHub)
    server.address, server.files = f"http://127.0.0.1:{server.server_port}", {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


def test_a_finished_run_is_pushed_with_its_own_model_card(hub, corpus, tiny, tmp_path):
    flags = [tiny, "--train_file", str(corpus), "--output_dir", str(tmp_path / "out"), "--max_steps", "2"]
    environment = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    environment |= {"HF_ENDPOINT": hub.address, "HF_TOKEN": "hf_test", "HF_HUB_DISABLE_XET": "1"}
    done = subprocess.run(
        [sys.executable, "scripts/pretrain.py", *flags, "--push_to_hub", "--hub_model_id", NAME],
        cwd=ROOT,
        env=environment | {"HF_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    card = hub.files["README.md"].decode()
    assert card == (tmp_path / "out" / "README.md").read_text()
    assert "hf_strategies" in card
    for name in ("model.safetensors", "tokenizer.json", "all_results.json", "report.html", "resolved_config.yaml"):
        assert hub.files[name] == (tmp_path / "out" / name).read_bytes()
    assert not [name for name, content in hub.files.items() if b"hf_test" in content]
