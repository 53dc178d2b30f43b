//! What is written down of devices, and how often.

use std::time::Duration;

use posthorn_clock::sleep;
use posthorn_proto::internal::{DeviceRecord, ListDevicesRequest};
use posthorn_store::{RecordKey, Store, Table};

use super::*;

const HOUR_MS: u64 = 3_600_000;

async fn connect(place: &Place, tenant: &str, user: &str, device: &str, client: &str) {
    let (tenant, user, device, client) = (tenant.into(), user.into(), device.into(), client.into());
    let request = ConnectRequest { tenant, user, device, client, gateway: "g".into(), ..ConnectRequest::default() };
    place.client.clone().connect(request).await.expect("connected");
}

async fn page(place: &Place, tenant: &str, user: &str, after: &str, limit: u32) -> Result<(Vec<String>, bool), Code> {
    let request = ListDevicesRequest { tenant: tenant.into(), user: user.into(), after: after.into(), limit };
    let reply = place.client.clone().list_devices(request).await.map_err(|status| failure_of(&status).code)?;
    let reply = reply.into_inner();
    Ok((reply.devices.into_iter().map(|device| device.device).collect(), reply.more))
}

async fn only(place: &Place) -> DeviceRecord {
    let request = ListDevicesRequest { tenant: "t".into(), user: "ann".into(), after: String::new(), limit: 10 };
    let mut devices = place.client.clone().list_devices(request).await.expect("listed").into_inner().devices;
    assert_eq!(devices.len(), 1);
    devices.remove(0)
}

#[tokio::test(start_paused = true)]
async fn a_users_devices_are_listed_page_by_page_and_nobody_elses() {
    let place = Place::new().await;
    for device in ["web", "phone", "a.b"] {
        connect(&place, "t", "ann", device, "page/1").await;
    }
    // Neighbours in the order of keys.
    for user in ["ann.b", "ann-a", "anna", "an", "annb"] {
        connect(&place, "t", user, "theirs", "page/1").await;
    }
    connect(&place, "other", "ann", "elsewhere", "page/1").await;
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    assert_eq!(page(&place, "t", "ann", "", 10).await, Ok((names(&["a.b", "phone", "web"]), false)));
    assert_eq!(page(&place, "t", "ann", "", 2).await, Ok((names(&["a.b", "phone"]), true)));
    assert_eq!(page(&place, "t", "ann", "phone", 2).await, Ok((names(&["web"]), false)));
    assert_eq!(page(&place, "t", "ann", "", 3).await, Ok((names(&["a.b", "phone", "web"]), false)));
    assert_eq!(page(&place, "other", "ann", "", 10).await, Ok((names(&["elsewhere"]), false)));
    assert_eq!(page(&place, "t", "nobody", "", 10).await, Ok((names(&[]), false)));
    for (user, after, limit) in [("a b", "", 1), ("ann", "a/b", 1), ("ann", "", 0)] {
        assert_eq!(page(&place, "t", user, after, limit).await, Err(Code::InvalidArgument), "{user} {after} {limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_storm_of_reconnects_writes_nothing_until_the_hour_is_over() {
    let place = Place::new().await;
    connect(&place, "t", "ann", "phone", "page/1").await;
    let written = only(&place).await;
    assert_eq!((written.client.as_str(), written.first_seen_ms, written.last_seen_ms), ("page/1", START_MS, START_MS));
    // What is taken out of the store is not put there again: nothing is written.
    let key = RecordKey { table: Table::Devices, tenant: "t".into(), key: "ann/phone".into() };
    let row = place.store.get_record(&key).await.expect("read").expect("there");
    place.store.delete_record(&key).await.expect("deleted");
    for _ in 0..50 {
        connect(&place, "t", "ann", "phone", "page/2").await;
    }
    assert_eq!(place.store.get_record(&key).await.expect("read"), None);
    place.store.put_record(&key, row, false).await.expect("put back");

    // Another instance finds in the store that it is fresh.
    sleep(Duration::from_millis(HOUR_MS - 1)).await;
    let again = place.restarted().await;
    connect(&again, "t", "ann", "phone", "page/2").await;
    assert_eq!(only(&again).await, written);
    sleep(Duration::from_millis(1)).await;
    connect(&again, "t", "ann", "phone", "page/2").await;
    let seen = only(&again).await;
    assert_eq!((seen.client.as_str(), seen.first_seen_ms), ("page/2", START_MS));
    assert_eq!(seen.last_seen_ms, START_MS + HOUR_MS);
}
