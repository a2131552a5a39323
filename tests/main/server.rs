//! A web server on this machine that serves a folder, misbehaves when told to, and keeps a log. It also answers
//! like an S3 store with buckets as folders (path style): listings, and no objects without a signature.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How the server treats requests for a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// This status for so many requests; then as usual.
    Status(u16, usize),
    /// The answer says its whole length and ends half-way, whatever part is asked for.
    Truncated,
    /// Answers so many requests as usual; then closes every connection.
    Gone(usize),
    /// Waits before each answer.
    Slow(Duration),
    /// Answers once the server is mended.
    Held,
}

struct Shared {
    folder: PathBuf,
    faults: Mutex<HashMap<String, Fault>>,
    log: Mutex<Vec<String>>,
    /// Waits so long before each answer.
    delay: Mutex<Duration>,
    /// Requests that wait for their answer, and the most that did at the same time.
    open: AtomicUsize,
    most_open: AtomicUsize,
    /// Whether requests must be signed, as for S3.
    store: bool,
    closed: AtomicBool,
}

/// The server. It ends when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Request {
    method: String,
    path: String,
    query: String,
    range: Option<(usize, Option<usize>)>,
    signed: bool,
}

struct Answer {
    status: u16,
    headers: Vec<String>,
    body: Vec<u8>,
}

impl Server {
    /// Serves a folder.
    pub(crate) fn web(folder: &Path) -> Self {
        Self::start(folder, false)
    }

    /// Serves the folders in a folder as the buckets of a store.
    pub(crate) fn store(folder: &Path) -> Self {
        Self::start(folder, true)
    }

    fn start(folder: &Path, store: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            folder: folder.to_path_buf(),
            faults: Mutex::default(),
            log: Mutex::default(),
            delay: Mutex::default(),
            open: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
            store,
            closed: AtomicBool::new(false),
        });
        let of_server = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if of_server.closed.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&of_server);
                std::thread::spawn(move || shared.serve(&stream));
            }
        });
        Self { address, shared }
    }

    /// Host and port.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// The address of a file.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// From now on, requests for `path` go wrong.
    pub(crate) fn fault(&self, path: &str, fault: Fault) {
        let mut faults = self.shared.faults.lock().unwrap();
        faults.insert(format!("/{path}"), fault);
    }

    /// From now on, they go right.
    pub(crate) fn mend(&self) {
        self.shared.faults.lock().unwrap().clear();
    }

    /// From now on, each answer takes so long.
    pub(crate) fn delay(&self, delay: Duration) {
        *self.shared.delay.lock().unwrap() = delay;
    }

    /// The most requests that waited for their answers at the same time since the last call.
    pub(crate) fn most_open(&self) -> usize {
        self.shared.most_open.swap(0, Ordering::SeqCst)
    }

    /// What was asked for since the last call: `GET /path 0-99`.
    pub(crate) fn log(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.log.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        // Wakes the listener, so that its thread ends.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream);
        while let Some(request) = read_request(&mut reader) {
            let part = request.range.map_or_else(String::new, |(from, to)| {
                format!(
                    " {from}-{}",
                    to.map_or_else(String::new, |to| to.to_string())
                )
            });
            let line = format!("{} {}{part}", request.method, request.path);
            self.log.lock().unwrap().push(line);
            let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_open.fetch_max(open, Ordering::SeqCst);
            let delay = *self.delay.lock().unwrap();
            std::thread::sleep(delay);
            let goes_on = self.reply(stream, &request);
            self.open.fetch_sub(1, Ordering::SeqCst);
            if !goes_on {
                return;
            }
        }
    }

    /// Whether the connection can go on.
    fn reply(&self, mut stream: &TcpStream, request: &Request) -> bool {
        let mut fault = self.fault_of(&request.path);
        while fault == Some(Fault::Held) && !self.closed.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(10));
            fault = self.fault_of(&request.path);
        }
        let mut answer = match fault {
            Some(Fault::Gone(0)) => return false,
            Some(Fault::Status(status, _)) => Answer::empty(status),
            _ => self.answer(request),
        };
        if let Some(Fault::Slow(wait)) = fault {
            std::thread::sleep(wait);
        }
        let length = answer.body.len();
        if request.method == "HEAD" {
            answer.body.clear();
        }
        let cut = fault == Some(Fault::Truncated) && !answer.body.is_empty();
        if cut {
            answer.body.truncate(length / 2);
        }
        let mut head = format!(
            "HTTP/1.1 {} X\r\nContent-Length: {length}\r\n",
            answer.status
        );
        for header in &answer.headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).is_ok() && stream.write_all(&answer.body).is_ok() && !cut
    }

    fn fault_of(&self, path: &str) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        let fault = faults.get_mut(path)?;
        match fault {
            Fault::Status(_, 0) => return None,
            Fault::Status(_, left) => *left -= 1,
            Fault::Gone(left) if *left > 0 => {
                *left -= 1;
                return None;
            }
            _ => {}
        }
        Some(fault.clone())
    }

    fn answer(&self, request: &Request) -> Answer {
        if self.store && !request.signed {
            return Answer::xml(
                403,
                "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
            );
        }
        let bucket_alone = request.path.trim_matches('/').split('/').count() == 1;
        if self.store && bucket_alone && request.method == "GET" {
            return self.listing(request);
        }
        let file = self.folder.join(request.path.trim_start_matches('/'));
        let Ok(bytes) = std::fs::read(&file) else {
            return if self.store {
                Answer::xml(
                    404,
                    "<Error><Code>NoSuchKey</Code><Message>No such key</Message></Error>",
                )
            } else {
                Answer::empty(404)
            };
        };
        // A file that changes has another tag.
        let tag = bytes.iter().fold(bytes.len() as u64, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(u64::from(*byte))
        });
        let mut headers = vec![
            format!("ETag: \"{tag:x}\""),
            "Accept-Ranges: bytes".to_owned(),
        ];
        match request.range {
            Some((from, _)) if from >= bytes.len() => Answer::empty(416),
            Some((from, to)) => {
                let to = to.unwrap_or(usize::MAX).min(bytes.len() - 1);
                headers.push(format!("Content-Range: bytes {from}-{to}/{}", bytes.len()));
                Answer {
                    status: 206,
                    headers,
                    body: bytes[from..=to].to_vec(),
                }
            }
            None => Answer {
                status: 200,
                headers,
                body: bytes,
            },
        }
    }

    /// The objects of a bucket, by prefix, a page at a time.
    fn listing(&self, request: &Request) -> Answer {
        use std::fmt::Write;
        const PAGE: usize = 3;
        let parameter = |name: &str| {
            let pair = request
                .query
                .split('&')
                .find_map(|p| p.strip_prefix(&format!("{name}=")));
            percent_decoded(pair.unwrap_or_default())
        };
        let (prefix, marker, delimiter) = (
            parameter("prefix"),
            parameter("marker"),
            parameter("delimiter"),
        );
        let bucket = self.folder.join(request.path.trim_matches('/'));
        let mut entries: Vec<(String, Option<u64>)> = Vec::new();
        let mut folders = vec![bucket.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                    continue;
                }
                let path = entry.path();
                let key = path
                    .strip_prefix(&bucket)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                let Some(rest) = key.strip_prefix(&prefix) else {
                    continue;
                };
                match rest.split_once('/').filter(|_| !delimiter.is_empty()) {
                    Some((folder, _)) => entries.push((format!("{prefix}{folder}/"), None)),
                    None => entries.push((key, Some(entry.metadata().unwrap().len()))),
                }
            }
        }
        entries.sort();
        entries.dedup();
        entries.retain(|(key, _)| *key > marker);
        let more = entries.len() > PAGE;
        entries.truncate(PAGE);
        let mut xml =
            format!("<ListBucketResult><Prefix>{prefix}</Prefix><IsTruncated>{more}</IsTruncated>");
        if let Some((last, _)) = entries.last().filter(|_| more) {
            write!(xml, "<NextMarker>{last}</NextMarker>").unwrap();
        }
        for (key, size) in entries {
            match size {
                Some(size) => write!(
                    xml,
                    "<Contents><Key>{key}</Key><LastModified>2024-01-31T05:30:21.000Z</LastModified><Size>{size}</Size></Contents>"
                )
                .unwrap(),
                None => write!(xml, "<CommonPrefixes><Prefix>{key}</Prefix></CommonPrefixes>").unwrap(),
            }
        }
        xml.push_str("</ListBucketResult>");
        Answer::xml(200, &xml)
    }
}

impl Answer {
    fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    fn xml(status: u16, text: &str) -> Self {
        Self {
            status,
            headers: vec!["Content-Type: application/xml".to_owned()],
            body: format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{text}").into_bytes(),
        }
    }
}

fn read_request(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut range, mut signed) = (None, false);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(':') else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "range" => {
                let (from, to) = value.trim().strip_prefix("bytes=")?.split_once('-')?;
                range = Some((from.parse().ok()?, to.parse().ok()));
            }
            "authorization" => signed = value.contains("AWS4-HMAC-SHA256"),
            _ => {}
        }
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Some(Request {
        method,
        path: percent_decoded(path),
        query: query.to_owned(),
        range,
        signed,
    })
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = (*first == b'%')
            .then(|| std::str::from_utf8(tail.get(..2)?).ok())
            .flatten()
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).unwrap()
}
