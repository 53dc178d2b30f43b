use std::sync::Arc;

use bytes::Bytes;
use posthorn_clock::Clock;
use posthorn_core::ConversationKey;
use posthorn_errors::{Code, failure_of as code_of};
use posthorn_proto::internal as wire;
use posthorn_rpc::{Link, Rpc, RpcConfig, StorageClient};
use posthorn_store::{Store, StoreError, memory::MemoryStore};
use posthorn_telemetry::Metrics;

use crate::{StorageDeps, StorageService, failure_of, grpc};

fn client() -> (StorageClient, Arc<MemoryStore>) {
    let clock = Clock::simulated(1, 0);
    let store = MemoryStore::new(clock.clone());
    let service = StorageService::new(StorageDeps { store: Arc::clone(&store) as Arc<dyn Store>, feed: None });
    let rpc = Rpc::new(RpcConfig::default(), &Metrics::default(), clock);
    (Link::local(&rpc, "storage", grpc::routes(service)).storage(), store)
}

fn row(seq: u64, body: &[u8]) -> wire::Row {
    let (chain, envelope) = (Bytes::from_static(&[7; 16]), Bytes::from(format!("envelope {seq}")));
    wire::Row { seq, epoch: 1 << 44 | 1, load: 1, chain, envelope, body: Some(Bytes::copy_from_slice(body)) }
}

fn append(rows: Vec<wire::Row>) -> wire::AppendRowsRequest {
    let head = Some(wire::Head { seq: rows.last().map_or(0, |row| row.seq), ..wire::Head::default() });
    wire::AppendRowsRequest {
        tenant: "t".to_owned(),
        conversation: "lobby".to_owned(),
        instance: "a".to_owned(),
        rows,
        head,
        ..wire::AppendRowsRequest::default()
    }
}

async fn register(client: &mut StorageClient) {
    let request = wire::RegisterRequest { instance: "a".to_owned(), address: "here".to_owned() };
    client.register(request).await.expect("registers");
}

#[tokio::test(start_paused = true)]
async fn what_is_appended_over_the_link_is_read_over_it() {
    let (mut client, _) = client();
    register(&mut client).await;
    let key = ConversationKey { tenant: "t".parse().expect("valid"), conversation: "lobby".parse().expect("valid") };
    let claim = wire::ClaimRequest {
        shards: vec![u32::from(key.shard().0)],
        instance: "a".to_owned(),
        address: "here".to_owned(),
    };
    let claimed = client.claim(claim).await.expect("claims").into_inner().claimed;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].instance, "a");
    let rows: Vec<_> = (1..=5).map(|seq| row(seq, b"hello")).collect();
    let reply = client.append(append(rows.clone())).await.expect("appends").into_inner();
    assert!(reply.settled);
    let read = wire::ReadRequest {
        tenant: "t".to_owned(),
        conversation: "lobby".to_owned(),
        from: 2,
        to: 9,
        limit: 3,
        reverse: false,
        max_bytes: 0,
    };
    let page = client.read(read).await.expect("reads").into_inner();
    assert_eq!((page.rows, page.more), (rows[1..4].to_vec(), true));
    let heads = wire::HeadsRequest { tenant: "t".to_owned(), conversations: vec!["no".to_owned(), "lobby".to_owned()] };
    let heads = client.heads(heads).await.expect("reads").into_inner().heads;
    assert_eq!(heads.iter().map(|row| row.head.as_ref().map(|head| head.seq)).collect::<Vec<_>>(), [None, Some(5)]);
    let description = client.describe(wire::DescribeRequest {}).await.expect("describes").into_inner();
    assert_eq!((description.generation, description.driver.as_str(), description.writable), (1, "memory", true));
}

#[tokio::test(start_paused = true)]
async fn the_stores_answers_have_codes() {
    let cases = [
        (StoreError::Exists(String::new()), Code::AlreadyExists),
        (StoreError::Full { free_bytes: 1, min_free_bytes: 2 }, Code::StoreFull),
        (StoreError::Fenced(String::new()), Code::WrongOwner),
        (StoreError::Unavailable(String::new()), Code::Unavailable),
        (StoreError::Ambiguous(String::new()), Code::NotConfirmed),
        (StoreError::Damaged(String::new()), Code::DataLoss),
        (StoreError::Misused(String::new()), Code::InvalidArgument),
    ];
    for (error, code) in cases {
        let uncertain = error.ambiguous();
        let failure = failure_of(error);
        assert_eq!(failure.code, code);
        assert_eq!(failure.code.side_effect_free(), !uncertain, "{code}");
    }
    let (mut client, store) = client();
    register(&mut client).await;
    let again = wire::RegisterRequest { instance: "a".to_owned(), address: String::new() };
    assert_eq!(code_of(&client.register(again).await.expect_err("exists")).code, Code::AlreadyExists);
    let _reopened = store.crash();
    let gone = client.append(append(vec![row(1, b"x")])).await.expect_err("crashed");
    assert_eq!(code_of(&gone).code, Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn what_is_out_of_bounds_is_named_and_changes_nothing() {
    let (mut client, store) = client();
    register(&mut client).await;
    let mut cases = vec![append(vec![row(1, &vec![0; 9 << 20])]), append(vec![row(2, b"x"), row(4, b"x")])];
    let foreign = |change: fn(&mut wire::AppendRowsRequest)| {
        let mut request = append(vec![row(1, b"x")]);
        change(&mut request);
        request
    };
    cases.push(foreign(|request| request.tenant = "no/slash".to_owned()));
    cases.push(foreign(|request| request.conversation.clear()));
    cases.push(foreign(|request| request.instance.clear()));
    cases.push(foreign(|request| request.head = None));
    cases.push(foreign(|request| request.rows.clear()));
    cases.push(append((1..=1_025).map(|seq| row(seq, b"")).collect()));
    for request in cases {
        let status = client.append(request).await.expect_err("refused");
        assert_eq!(code_of(&status).code, Code::InvalidArgument, "{status:?}");
    }
    let shard = wire::ClaimRequest { shards: vec![1_024], instance: "a".to_owned(), address: String::new() };
    assert_eq!(code_of(&client.claim(shard).await.expect_err("refused")).code, Code::InvalidArgument);
    let record = wire::GetRecordRequest { table: 99, tenant: "t".to_owned(), key: "k".to_owned() };
    assert_eq!(code_of(&client.get_record(record).await.expect_err("refused")).code, Code::InvalidArgument);
    assert_eq!(store.shards().await, Ok(Vec::new()));
}
