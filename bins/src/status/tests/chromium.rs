//! Chromium without a window, asked over a pipe (`--remote-debugging-pipe`): messages of JSON, each
//! of which ends in a NUL.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// A browser with one page.
pub(super) struct Chromium {
    browser: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    asked: u64,
    _profile: tempfile::TempDir,
}

impl Chromium {
    pub(super) fn start() -> Self {
        let found = Command::new("chromium").arg("--version").output();
        assert!(found.is_ok(), "there is no chromium (package chromium): {found:?}");
        let profile = tempfile::tempdir().unwrap();
        // The browser reads from its third descriptor and writes to its fourth. As root it has no
        // sandbox; and it loads one page, which is ours.
        let line = "exec chromium --headless --no-sandbox --disable-gpu --hide-scrollbars \
                    --disable-dev-shm-usage --no-first-run --remote-debugging-pipe \
                    --user-data-dir=\"$0\" about:blank 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut browser = Command::new("sh")
            .args(["-c", line])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (to, from) = (browser.stdin.take().unwrap(), browser.stdout.take().unwrap());
        let from = BufReader::new(from);
        let mut chromium = Self { browser, to, from, session: None, asked: 0, _profile: profile };
        let page = chromium.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = chromium.call("Target.attachToTarget", &attach);
        chromium.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        chromium
    }

    /// Calls a method of the protocol, and waits for what it returns.
    pub(super) fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.asked += 1;
        let mut message = json!({ "id": self.asked, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        write!(self.to, "{message}\0").unwrap();
        loop {
            let mut answer = Vec::new();
            self.from.read_until(0, &mut answer).unwrap();
            assert_eq!(answer.pop(), Some(0), "{method}: the browser has ended");
            let mut answer: Value = serde_json::from_slice(&answer).unwrap();
            if answer["id"] == self.asked {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].take();
            }
        }
    }

    /// The value of an expression on the page; promises are awaited.
    pub(super) fn evaluate(&mut self, expression: &str) -> Value {
        let asked = json!({
            "expression": expression, "awaitPromise": true, "returnByValue": true
        });
        let answer = self.call("Runtime.evaluate", &asked);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true on the page: it ends by itself, or never.
    pub(super) fn until(&mut self, expression: &str) {
        let wait = format!(
            "new Promise((done, fail) => {{ const end = Date.now() + 60000; const look = () => \
             ({expression}) ? done(true) : Date.now() > end ? fail(document.body.innerText) : \
             setTimeout(look, 20); look(); }})"
        );
        self.evaluate(&wait);
    }

    /// Sets the page's width, and whether it is dark.
    pub(super) fn look(&mut self, width: u32, height: u32, scheme: &str) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500
        });
        self.call("Emulation.setDeviceMetricsOverride", &metrics);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    pub(super) fn open(&mut self, address: &str) {
        self.call("Page.navigate", &json!({ "url": address }));
    }

    /// A picture of what is shown.
    pub(super) fn picture(&mut self) -> Vec<u8> {
        let shot = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        data_encoding::BASE64.decode(shot["data"].as_str().unwrap().as_bytes()).unwrap()
    }

    pub(super) fn press(&mut self, key: &str) {
        for kind in ["rawKeyDown", "keyUp"] {
            let code = if key == "Tab" { 9 } else { 32 };
            let text = if key == " " { " " } else { "" };
            let event = json!({
                "type": if text == " " && kind == "rawKeyDown" { "keyDown" } else { kind },
                "key": key, "code": if key == " " { "Space" } else { key },
                "windowsVirtualKeyCode": code, "text": text
            });
            self.call("Input.dispatchKeyEvent", &event);
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.browser.kill();
        let _ = self.browser.wait();
    }
}
