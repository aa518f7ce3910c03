//! The calls to etcd that the lock needs, to one member at a time: whoever does not answer in time is left for the next.

use super::{EtcdLock, EtcdTls};
use proto::etcd::compare::{Result as Is, Target, TargetUnion};
use proto::etcd::kv_client::KvClient;
use proto::etcd::lease_client::LeaseClient;
use proto::etcd::request_op::Request as Op;
use proto::etcd::response_op::Response as Done;
use proto::etcd::watch_client::WatchClient;
use proto::etcd::watch_request::RequestUnion;
use proto::etcd::{
    Compare, KeyValue, LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest, PutRequest,
    RangeRequest, RequestOp, TxnRequest, TxnResponse, WatchCreateRequest, WatchRequest, WatchResponse,
};
use std::time::Duration;
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status, Streaming};

/// See the module.
#[derive(Debug)]
pub(super) struct Client {
    lock: EtcdLock,
    /// For connecting and for each call.
    limit: Duration,
    /// The member in use.
    at: usize,
    channel: Option<Channel>,
}

/// What came of the try to make the key.
#[derive(Debug)]
pub(super) enum Claim {
    /// The key is ours; the last record, as it was written.
    Ours(Vec<u8>),
    /// The key is another's.
    Taken,
}

impl Client {
    pub(super) fn new(lock: EtcdLock, limit: Duration) -> Self {
        Self { lock, limit, at: 0, channel: None }
    }

    /// The key, read by agreement of a majority of the members, and the revision of the store at that time.
    pub(super) async fn read(&mut self) -> Result<(Option<KeyValue>, i64), String> {
        let request = RangeRequest { key: self.key(), serializable: false };
        let answer = self
            .call(|channel| {
                let request = request.clone();
                async move { KvClient::new(channel).range(request).await }
            })
            .await?;
        let revision = answer.header.map_or(0, |h| h.revision);
        Ok((answer.kvs.into_iter().next(), revision))
    }

    /// A new lease: its number and its length.
    pub(super) async fn grant(&mut self) -> Result<(i64, Duration), String> {
        let request = LeaseGrantRequest { ttl: self.lock.ttl.as_secs().cast_signed(), id: 0 };
        let answer =
            self.call(|channel| async move { LeaseClient::new(channel).lease_grant(request).await }).await?;
        if answer.id == 0 || !answer.error.is_empty() {
            return Err(format!("etcd grants no lease: {}", answer.error));
        }
        Ok((answer.id, seconds(answer.ttl)))
    }

    /// How long the lease lasts from now; `None` when there is none any more.
    pub(super) async fn keep_alive(&mut self, lease: i64) -> Result<Option<Duration>, String> {
        let answer = self
            .call(|channel| async move {
                let requests = tokio_stream::once(LeaseKeepAliveRequest { id: lease });
                let answers = LeaseClient::new(channel).lease_keep_alive(requests).await?;
                let answer = answers.into_inner().message().await?;
                answer.map(tonic::Response::new).ok_or_else(|| Status::unavailable("no answer"))
            })
            .await?;
        Ok(Some(seconds(answer.ttl)).filter(|ttl| !ttl.is_zero()))
    }

    /// Ends a lease, and with it the key that is bound to it. One that has ended already is no error.
    pub(super) async fn revoke(&mut self, lease: i64) -> Result<(), String> {
        self.call(|channel| async move {
            match LeaseClient::new(channel).lease_revoke(LeaseRevokeRequest { id: lease }).await {
                Err(status) if status.code() == Code::NotFound => Ok(tonic::Response::new(())),
                answer => answer.map(|_| tonic::Response::new(())),
            }
        })
        .await
    }

    /// Makes the key, bound to the lease, if there is none. A repeated try whose first answer was lost finds its own key.
    pub(super) async fn claim(&mut self, lease: i64) -> Result<Claim, String> {
        let key = self.key();
        let last = RequestOp {
            request: Some(Op::RequestRange(RangeRequest { key: self.last_key(), serializable: false })),
        };
        let own = RequestOp {
            request: Some(Op::RequestRange(RangeRequest { key: key.clone(), serializable: false })),
        };
        let absent = compare(&key, Target::Create, TargetUnion::CreateRevision(0));
        let request = TxnRequest {
            compare: vec![absent],
            success: vec![put(key, Vec::new(), lease), last.clone()],
            failure: vec![own, last],
        };
        let answer = self.txn(request).await?;
        let mut found = answer.responses.into_iter().map(|r| match r.response {
            Some(Done::ResponseRange(range)) => range.kvs.into_iter().next(),
            _ => None,
        });
        let (own, last) = (found.next().flatten(), found.next().flatten());
        let ours = answer.succeeded || own.is_some_and(|kv| kv.lease == lease);
        Ok(if ours { Claim::Ours(last.map(|kv| kv.value).unwrap_or_default()) } else { Claim::Taken })
    }

    /// Writes the record into our key, and where it outlives the key. False: the key is not ours any more.
    pub(super) async fn record(&mut self, lease: i64, record: &[u8]) -> Result<bool, String> {
        let key = self.key();
        let ours = compare(&key, Target::Lease, TargetUnion::Lease(lease));
        let request = TxnRequest {
            compare: vec![ours],
            success: vec![put(key, record.to_vec(), lease), put(self.last_key(), record.to_vec(), 0)],
            failure: Vec::new(),
        };
        Ok(self.txn(request).await?.succeeded)
    }

    /// What happens to the key from `revision` on.
    pub(super) async fn watch(&mut self, revision: i64) -> Result<Streaming<WatchResponse>, String> {
        let create = WatchCreateRequest { key: self.key(), start_revision: revision };
        let request = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        self.call(|channel| {
            // The end of the requests would end the watch.
            let requests = tokio_stream::once(request.clone()).chain(tokio_stream::pending());
            async move { WatchClient::new(channel).watch(requests).await }
        })
        .await
    }

    /// What an operator might do to the key.
    #[cfg(test)]
    pub(super) async fn overwrite(&mut self, value: &[u8], lease: i64) -> Result<(), String> {
        let request = PutRequest { key: self.key(), value: value.to_vec(), lease };
        let channel = self.channel().await?;
        KvClient::new(channel).put(request).await.map(drop).map_err(|s| s.to_string())
    }

    /// The same.
    #[cfg(test)]
    pub(super) async fn delete(&mut self) -> Result<(), String> {
        let request = proto::etcd::DeleteRangeRequest { key: self.key() };
        let channel = self.channel().await?;
        KvClient::new(channel).delete_range(request).await.map(drop).map_err(|s| s.to_string())
    }

    async fn txn(&mut self, request: TxnRequest) -> Result<TxnResponse, String> {
        self.call(|channel| {
            let request = request.clone();
            async move { KvClient::new(channel).txn(request).await }
        })
        .await
    }

    /// One call, at the member in use and then at each of the others. The error is that of the last.
    async fn call<T, F>(&mut self, call: impl Fn(Channel) -> F) -> Result<T, String>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let mut error = String::new();
        for _ in 0..self.lock.endpoints.len() {
            let name = self.lock.endpoints[self.at].clone();
            let tried = timeout(self.limit, async {
                let channel = self.channel().await?;
                call(channel).await.map_err(|status| refusal(&status))
            });
            let why = match tried.await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(why)) => why,
                Err(_) => format!("no answer within {} ms", self.limit.as_millis()),
            };
            self.next_member();
            error = format!("etcd at {name}: {why}");
        }
        Err(error)
    }

    /// Turns to another member: this one does not answer.
    pub(super) fn next_member(&mut self) {
        self.channel = None;
        self.at = (self.at + 1) % self.lock.endpoints.len();
    }

    async fn channel(&mut self) -> Result<Channel, String> {
        if let Some(channel) = &self.channel {
            return Ok(channel.clone());
        }
        let scheme = if self.lock.tls.is_some() { "https" } else { "http" };
        let uri = format!("{scheme}://{}", self.lock.endpoints[self.at]);
        let mut endpoint =
            Endpoint::from_shared(uri).map_err(|e| chain(&e))?.connect_timeout(self.limit).tcp_nodelay(true);
        if let Some(tls) = &self.lock.tls {
            endpoint = endpoint.tls_config(tls_config(tls).await?).map_err(|e| chain(&e))?;
        }
        let channel = endpoint.connect().await.map_err(|e| chain(&e))?;
        Ok(self.channel.insert(channel).clone())
    }

    fn key(&self) -> Vec<u8> {
        self.lock.key.clone().into_bytes()
    }

    /// The key, bound to no lease, that keeps the last record.
    fn last_key(&self) -> Vec<u8> {
        format!("{}.last", self.lock.key).into_bytes()
    }
}

async fn tls_config(tls: &EtcdTls) -> Result<ClientTlsConfig, String> {
    let read = async |path: &std::path::Path| {
        tokio::fs::read(path).await.map_err(|e| format!("cannot read {}: {e}", path.display()))
    };
    let config = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(&tls.ca).await?));
    Ok(match &tls.identity {
        Some((cert, key)) => config.identity(Identity::from_pem(read(cert).await?, read(key).await?)),
        None => config,
    })
}

fn compare(key: &[u8], target: Target, value: TargetUnion) -> Compare {
    Compare { result: Is::Equal.into(), target: target.into(), key: key.to_vec(), target_union: Some(value) }
}

fn put(key: Vec<u8>, value: Vec<u8>, lease: i64) -> RequestOp {
    RequestOp { request: Some(Op::RequestPut(PutRequest { key, value, lease })) }
}

fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(u64::try_from(ttl).unwrap_or(0))
}

/// What etcd answered, or why it could not.
fn refusal(status: &Status) -> String {
    with_causes(status.message().to_owned(), status)
}

/// An error with its causes: tonic's own text is only "transport error".
fn chain(error: &dyn std::error::Error) -> String {
    with_causes(error.to_string(), error)
}

fn with_causes(mut text: String, error: &dyn std::error::Error) -> String {
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
