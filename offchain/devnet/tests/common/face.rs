//! Asks the HTTP face.

use cocoon_devnet::{Devnet, HttpFace};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The HTTP face of a network, asked as a client would.
pub struct Face(pub HttpFace);

impl Face {
    pub async fn of(devnet: &Devnet) -> Self {
        Self(devnet.serve_http("127.0.0.1:0".parse().unwrap()).await.unwrap())
    }

    pub async fn send(&self, head: &str, body: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.0.addr()).await.unwrap();
        let request = format!(
            "{head} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![];
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        self.send(&format!("GET /api/v2/{path}"), "").await
    }

    pub async fn post(&self, method: &str, body: &Value) -> (u16, Value) {
        self.send(&format!("POST /api/v2/{method}"), &body.to_string()).await
    }

    /// By JSON-RPC; the answer must be there.
    pub async fn ask(&self, method: &str, params: Value) -> Value {
        let request = json!({ "id": "7", "jsonrpc": "2.0", "method": method, "params": params });
        let (status, answer) = self.send("POST /api/v2/jsonRPC", &request.to_string()).await;
        assert_eq!((status, &answer["ok"], &answer["id"]), (200, &json!(true), &json!("7")), "{method}: {answer}");
        answer["result"].clone()
    }

    /// By JSON-RPC; the code of the error that must be there.
    pub async fn refused(&self, method: &str, params: Value) -> u16 {
        let request = json!({ "id": 1, "jsonrpc": "2.0", "method": method, "params": params });
        let (status, answer) = self.send("POST /api/v2/jsonRPC", &request.to_string()).await;
        assert_eq!((&answer["ok"], &answer["code"]), (&json!(false), &json!(status)), "{method}: {answer}");
        assert!(!answer["error"].as_str().unwrap().is_empty());
        status
    }
}
