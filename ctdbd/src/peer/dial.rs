//! Dialling: one task for each peer keeps the stream up on which we speak to it.

use super::host::{Looks, Tried};
use super::{Identity, LinkEvent, QUEUE};
use hyper_util::rt::TokioIo;
use proto::MAX_MESSAGE;
use proto::v1::PeerFrame;
use proto::v1::node_client::NodeClient;
use proto::wire::{Frame, Hello};
use recoverd::model::Pnn;
use recoverd::msg::PeerMsg;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Endpoint, Uri};
use tower::service_fn;

/// Pause between two tries. A peer that starts dials us, which ends the pause at once.
const RETRY: Duration = Duration::from_millis(500);
/// Longest wait for a connection and the peer's first word.
const CONNECT: Duration = Duration::from_secs(2);

static LINKS: AtomicU64 = AtomicU64::new(1);

/// A number for a link that no other link of this process has.
pub(super) fn link_number() -> u64 {
    LINKS.fetch_add(1, Ordering::Relaxed)
}

/// The dialling task of one peer; dropping it ends the link.
#[derive(Debug)]
pub struct Dialer {
    wake: Arc<Notify>,
    hang: Arc<Notify>,
    task: tokio::task::AbortHandle,
}

impl Dialer {
    /// Begins to dial node `pnn` at `addr`.
    #[must_use]
    pub fn spawn(id: Arc<Identity>, pnn: Pnn, addr: IpAddr, events: mpsc::Sender<LinkEvent>) -> Self {
        let (wake, hang) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let ears = (Arc::clone(&wake), Arc::clone(&hang));
        let task = tokio::spawn(keep_dialling(id, pnn, addr, events, ears)).abort_handle();
        Self { wake, hang, task }
    }

    /// The peer is there: do not wait for the next turn.
    pub fn dial_now(&self) {
        self.wake.notify_one();
    }

    /// The peer is silent: give up the link that is up, if one is, and dial anew. Where packets are lost TCP would not notice for a
    /// quarter of an hour, and after the network is well again for up to two minutes.
    pub fn hang_up(&self) {
        self.hang.notify_waiters();
    }
}

impl Drop for Dialer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_dialling(
    id: Arc<Identity>,
    pnn: Pnn,
    addr: IpAddr,
    events: mpsc::Sender<LinkEvent>,
    (wake, hang): (Arc<Notify>, Arc<Notify>),
) {
    let (mut said, mut looks) = (String::new(), Looks::default());
    loop {
        let tried = Tried::default();
        let link = link_number();
        let why = match tokio::time::timeout(CONNECT, open(&id, pnn, addr, &tried)).await {
            Err(_) => format!("no answer from {addr} port {} within {} s", id.port, CONNECT.as_secs()),
            Ok(Err(why)) => why,
            Ok(Ok(open)) => {
                said.clear();
                let up = LinkEvent::OutUp {
                    pnn,
                    session: open.hello.session,
                    link,
                    outbox: open.outbox,
                    client: open.client,
                };
                if events.send(up).await.is_err() {
                    return;
                }
                let why = tokio::select! {
                    why = until_closed(open.replies) => why,
                    () = hang.notified() => "nothing was heard of it".to_owned(),
                };
                let down = LinkEvent::OutDown { pnn, link, why: why.clone() };
                if events.send(down).await.is_err() {
                    return;
                }
                why
            }
        };
        if why != said {
            tracing::debug!("dialling node {pnn} at {addr}: {why}");
            said.clone_from(&why);
        }
        let pause = async {
            if let Some(look) = looks.after(pnn, (id.addr, addr), &tried, &why).await
                && events.send(look).await.is_err()
            {
                // The driver is gone: so is this task, soon.
                return;
            }
            tokio::time::sleep(RETRY).await;
        };
        tokio::select! {
            () = wake.notified() => {}
            () = pause => {}
        }
    }
}

struct Open {
    hello: Hello,
    outbox: mpsc::Sender<PeerMsg>,
    client: NodeClient<tonic::transport::Channel>,
    replies: tonic::Streaming<PeerFrame>,
}

async fn open(id: &Arc<Identity>, pnn: Pnn, addr: IpAddr, tried: &Tried) -> Result<Open, String> {
    let uri: Uri = format!("http://node{pnn}").parse().map_err(|e| format!("internal: {e}"))?;
    let (from, to) = (SocketAddr::new(id.addr, 0), SocketAddr::new(addr, id.port));
    let tried = tried.clone();
    let connector = service_fn(move |_: Uri| {
        let tried = tried.clone();
        async move {
            let connected = connect(from, to).await;
            tried.note(&connected);
            connected.map(TokioIo::new)
        }
    });
    let channel = Endpoint::from(uri).connect_with_connector(connector).await.map_err(|e| deepest(&e))?;
    let mut client = NodeClient::new(channel)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let (outbox, inbox) = mpsc::channel::<PeerMsg>(QUEUE);
    let first = PeerFrame::from(&id.hello());
    let frames = tokio_stream::once(first).chain(ReceiverStream::new(inbox).map(|m| PeerFrame::from(&m)));
    let mut replies = client.link(frames).await.map_err(|s| s.message().to_owned())?.into_inner();
    let first = replies.message().await.map_err(|s| s.message().to_owned())?;
    let frame = first.ok_or("it closed the link at once")?;
    match Frame::try_from(frame) {
        Ok(Frame::Hello(hello)) if hello.pnn == pnn => {
            id.check(&hello)?;
            Ok(Open { hello, outbox, client, replies })
        }
        Ok(Frame::Hello(hello)) => {
            Err(format!("{addr} answers as node {}, the nodes file says node {pnn}", hello.pnn))
        }
        Ok(Frame::Msg(_)) => Err("it did not introduce itself".to_owned()),
        Err(e) => Err(format!("it introduced itself with nonsense (another version?): {e}")),
    }
}

async fn connect(from: SocketAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(from)?;
    let stream = socket.connect(to).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The peer says nothing on what we dialled; that it ends is all there is to hear.
async fn until_closed(mut replies: tonic::Streaming<PeerFrame>) -> String {
    loop {
        match replies.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return "it closed the link".to_owned(),
            Err(status) => return format!("the link broke: {}", deepest(&status)),
        }
    }
}

/// The innermost error: the one that says what the system saw.
pub(super) fn deepest(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
