//! The node service: what other daemons may ask of this one. Handlers only pass on; the work is done in the daemon's own tasks.

use super::dial::{deepest, link_number};
use super::{CloseHandle, Identity, LinkEvent, accept};
use crate::calls::Calls;
use proto::MAX_MESSAGE;
use proto::v1::node_server::{Node, NodeServer};
use proto::v1::{CallReply, CallRequest, PeerFrame};
use proto::wire::{Call, Frame};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

/// See the module.
#[derive(Debug)]
pub struct NodeService {
    id: Arc<Identity>,
    events: mpsc::Sender<LinkEvent>,
    calls: Calls,
}

impl NodeService {
    /// Serves on `listener` until the task is dropped.
    pub fn spawn(
        listener: TcpListener,
        id: Arc<Identity>,
        events: mpsc::Sender<LinkEvent>,
        calls: Calls,
    ) -> tokio::task::JoinHandle<Result<(), tonic::transport::Error>> {
        let (good, incoming) = mpsc::channel(64);
        tokio::spawn(accept::screen(listener, Arc::clone(&id), good));
        let service = NodeServer::new(Self { id, events, calls })
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(ReceiverStream::new(incoming)))
    }

    fn source(&self, from: Option<IpAddr>, claimed: recoverd::model::Pnn) -> Result<(), String> {
        let want = self.id.node(claimed);
        if want.is_some() && from.map(|a| a.to_canonical()) == want {
            return Ok(());
        }
        let from = from.map_or("an unknown address".to_owned(), |a| a.to_string());
        Err(format!("it calls itself node {claimed} but comes from {from}"))
    }
}

#[tonic::async_trait]
impl Node for NodeService {
    type LinkStream = Pin<Box<dyn Stream<Item = Result<PeerFrame, Status>> + Send>>;

    async fn link(
        &self,
        request: Request<Streaming<PeerFrame>>,
    ) -> Result<Response<Self::LinkStream>, Status> {
        let from = request.remote_addr().map(|a| a.ip());
        let mut frames = request.into_inner();
        let first = frames.message().await?.ok_or_else(|| Status::invalid_argument("nothing was said"))?;
        let hello = match Frame::try_from(first) {
            Ok(Frame::Hello(hello)) => hello,
            Ok(Frame::Msg(_)) => return Err(Status::invalid_argument("the first frame must be hello")),
            Err(e) => return Err(Status::invalid_argument(e.to_string())),
        };
        if let Err(why) = self.source(from, hello.pnn).and_then(|()| self.id.check(&hello)) {
            tracing::warn!("link from {from:?} refused: {why}");
            return Err(Status::permission_denied(why));
        }
        let (pnn, session, link) = (hello.pnn, hello.session, link_number());
        let (close, closed) = oneshot::channel();
        let up = LinkEvent::InUp { pnn, session, link, close: CloseHandle(Arc::new(close)) };
        self.events.send(up).await.map_err(|_| Status::unavailable("the daemon is ending"))?;
        let (hold, held) = mpsc::channel::<Result<PeerFrame, Status>>(1);
        let mine = Ok(PeerFrame::from(&self.id.hello()));
        tokio::spawn(listen_to(pnn, link, frames, closed, self.events.clone(), hold));
        Ok(Response::new(Box::pin(tokio_stream::once(mine).chain(ReceiverStream::new(held)))))
    }

    async fn call(&self, request: Request<CallRequest>) -> Result<Response<CallReply>, Status> {
        let call =
            Call::try_from(request.into_inner()).map_err(|e| Status::invalid_argument(e.to_string()))?;
        if call.pnn.is_some_and(|p| p != self.id.pnn) {
            return Err(Status::invalid_argument(format!("this is node {}", self.id.pnn)));
        }
        let reply = self.calls.ask(call.command, call.timeout).await?;
        Ok(Response::new((&reply).into()))
    }
}

/// Passes on what a peer says until its stream ends or the table closes the link. `hold` keeps our half open that long.
async fn listen_to(
    pnn: recoverd::model::Pnn,
    link: u64,
    mut frames: Streaming<PeerFrame>,
    mut closed: oneshot::Receiver<()>,
    events: mpsc::Sender<LinkEvent>,
    hold: mpsc::Sender<Result<PeerFrame, Status>>,
) {
    let why = loop {
        let frame = tokio::select! {
            frame = frames.message() => frame,
            _ = &mut closed => break "we closed the link".to_owned(),
        };
        match frame.map(|f| f.map(Frame::try_from)) {
            Ok(Some(Ok(Frame::Msg(msg)))) => {
                if events.send(LinkEvent::Message { pnn, link, msg }).await.is_err() {
                    return;
                }
            }
            Ok(Some(Ok(Frame::Hello(_)))) => break "it introduced itself twice".to_owned(),
            Ok(Some(Err(e))) => break format!("it sent a malformed message: {e}"),
            Ok(None) => break "it closed the link".to_owned(),
            Err(status) => break format!("the link broke: {}", deepest(&status)),
        }
    };
    drop(hold);
    // The receiver is gone only when the daemon ends.
    let _ = events.send(LinkEvent::InDown { pnn, link, why }).await;
}
