use posthorn_proto::internal::{Cut, PlaceOnSubject};
use prost::Message;

use super::{Subject::*, *};

const BEAT: u64 = 1_000;

struct Bench {
    links: Links,
    now: Instant,
}

fn publication(publisher: &str, number: u64) -> Publication {
    Publication { publisher: publisher.into(), number, ..Publication::default() }
}

/// What was lost, and the numbers that go on.
fn seen(step: Step) -> (Vec<Lost>, Vec<u64>) {
    (step.lost, step.ready.into_iter().map(|publication| publication.number).collect())
}

fn fine(numbers: &[u64]) -> (Vec<Lost>, Vec<u64>) {
    (Vec::new(), numbers.into())
}

fn lost(numbers: &[u64]) -> (Vec<Lost>, Vec<u64>) {
    (vec![Lost::Events], numbers.into())
}

fn reply(publisher: &str, numbers: &[u64], last: u64) -> MissedReply {
    let publications = numbers.iter().map(|&number| publication(publisher, number).encode_to_vec().into()).collect();
    let all = Some(Missed::default());
    MissedReply { publisher: publisher.into(), own: Some(Missed { last, publications }), all, moved: None }
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        let mut bench = Self { links: Links::new("me", 8, now), now };
        bench.later(60_000);
        bench
    }

    /// One where `r1` beats and can be asked, and `s1` beats.
    fn with_two() -> Self {
        let mut bench = Self::new();
        bench.beat(All, "r1", 0);
        bench.beat(All, "s1", 0);
        bench
    }

    fn later(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    fn take(&mut self, subject: Subject, publisher: &str, number: u64) -> (Vec<Lost>, Vec<u64>) {
        seen(self.links.take(subject, publication(publisher, number), self.now))
    }

    fn beat_of(&mut self, subject: Subject, publisher: &str, number: u64, interval_ms: u64) -> (Vec<Lost>, Vec<u64>) {
        let beat = Heartbeat { interval_ms, keeps: publisher.starts_with('r') };
        seen(self.links.beat(subject, publisher.into(), number, beat, self.now))
    }

    fn beat(&mut self, subject: Subject, publisher: &str, number: u64) -> (Vec<Lost>, Vec<u64>) {
        self.beat_of(subject, publisher, number, BEAT)
    }

    fn answer(&mut self, reply: MissedReply) -> (Vec<Lost>, Vec<u64>) {
        seen(self.links.answer(reply, self.now).0)
    }

    fn conclude(&mut self, answered: &[&str], complete: bool) -> (Vec<Lost>, Vec<u64>) {
        let answered: Vec<String> = answered.iter().map(|&name| name.to_owned()).collect();
        seen(self.links.conclude(&answered, complete, self.now))
    }

    fn wanting(&self) -> bool {
        self.links.wanting(self.now)
    }

    fn tick(&mut self) -> (Vec<Lost>, Vec<u64>) {
        seen(self.links.tick(self.now))
    }
}

#[test]
fn a_hole_of_one_that_cannot_be_asked_is_a_loss_once() {
    let mut bench = Bench::new();
    for (number, expected) in
        [(1, fine(&[1])), (2, fine(&[2])), (5, lost(&[5])), (6, fine(&[6])), (6, fine(&[])), (4, fine(&[]))]
    {
        assert_eq!(bench.take(Own, "x", number), expected, "{number}");
    }
    assert_eq!(bench.take(Own, "y", 2), lost(&[2]), "the first to one gateway is 1");
    assert_eq!(bench.take(Own, "x", 0), fine(&[0]), "0 is not numbered");
}

#[test]
fn what_goes_to_all_gateways_began_before_this_one_and_a_hole_in_it_may_be_a_cut() {
    let mut bench = Bench::new();
    assert_eq!(bench.take(All, "x", 7), fine(&[7]));
    assert_eq!(bench.take(All, "x", 9), (vec![Lost::Cuts], vec![9]));
    let event = Publication { users: vec!["ann".into()], ..publication("y", 7) };
    bench.links.take(All, event, bench.now);
    assert_eq!(bench.take(All, "y", 9), lost(&[9]));
}

#[test]
fn after_a_drop_that_was_told_any_number_is_the_next() {
    let mut bench = Bench::new();
    bench.take(Own, "x", 1);
    assert_eq!(seen(bench.links.doubt(Own, bench.now)), lost(&[]));
    assert_eq!(bench.take(Own, "x", 40), fine(&[40]));
    assert_eq!(bench.take(Own, "x", 42), lost(&[42]));
    assert_eq!(seen(Bench::new().links.doubt(All, bench.now)), (vec![Lost::Cuts], vec![]), "nobody can say");
}

#[test]
fn the_last_publication_before_a_silence_is_missed_by_a_heartbeat_and_asked_for() {
    let mut bench = Bench::with_two();
    assert_eq!(bench.take(Own, "r1", 1), fine(&[1]));
    assert!(!bench.wanting());
    assert_eq!(bench.beat(Own, "r1", 2), fine(&[]));
    assert!(bench.wanting());
    let heard = bench.links.question();
    assert!(heard.contains(&Heard { publisher: "r1".into(), own: 1, all: 0, moved: 0 }), "{heard:?}");
    assert_eq!(bench.answer(reply("r1", &[2], 2)), fine(&[2]));
    assert!(!bench.wanting());
    assert_eq!(bench.take(Own, "r1", 2), fine(&[]), "the bus was only slow");
    // Also where it was the first of all.
    assert_eq!(bench.beat(Own, "r2", 1), fine(&[]));
    assert_eq!(bench.answer(reply("r2", &[1], 1)), fine(&[1]));
}

#[test]
fn what_is_behind_a_hole_waits_for_what_is_before() {
    let mut bench = Bench::with_two();
    assert_eq!([bench.take(Own, "r1", 3), bench.take(Own, "r1", 4)], [fine(&[]), fine(&[])]);
    assert!(bench.links.behind());
    assert_eq!(bench.answer(reply("r1", &[1, 2, 3], 5)), fine(&[1, 2, 3, 4]));
    assert_eq!(bench.answer(reply("r1", &[5], 5)), fine(&[5]));
    // Of one the instance has nothing left.
    assert_eq!(bench.beat(Own, "r1", 9), fine(&[]));
    assert_eq!(bench.answer(reply("r1", &[7, 8, 9], 9)), lost(&[7, 8, 9]));
    assert_eq!(bench.beat(Own, "r1", 10), fine(&[]));
    assert_eq!(bench.answer(reply("r1", &[], 10)), lost(&[]));
    assert!(!bench.wanting());
}

#[test]
fn who_does_not_answer_holds_nothing_back_and_what_is_held_is_bounded() {
    let mut bench = Bench::with_two();
    bench.take(Own, "r1", 2);
    assert_eq!(bench.conclude(&[], false), lost(&[2]));
    assert_eq!(bench.take(Own, "r1", 3), fine(&[3]));
    let mut last = (Vec::new(), Vec::new());
    for number in 5..=13 {
        last = bench.take(Own, "r1", number);
    }
    assert_eq!(last, lost(&[5, 6, 7, 8, 9, 10, 11, 12, 13]));
}

#[test]
fn of_what_is_held_behind_several_holes_what_is_behind_the_last_goes_on_and_every_cut() {
    let mut bench = Bench::with_two();
    assert_eq!(bench.take(Own, "r1", 1), fine(&[1]));
    for number in [3, 7, 8] {
        assert_eq!(bench.take(Own, "r1", number), fine(&[]));
    }
    let cut = Publication { what: Some(What::Cut(Cut::default())), ..publication("r1", 5) };
    assert_eq!(seen(bench.links.take(Own, cut, bench.now)), fine(&[]));
    assert_eq!(bench.conclude(&[], false), lost(&[5, 7, 8]));
    assert_eq!(bench.take(Own, "r1", 9), fine(&[9]));
}

#[test]
fn a_silent_publisher_is_asked_until_it_beats_and_one_that_is_gone_is_a_loss_once() {
    let mut bench = Bench::with_two();
    bench.take(Own, "r1", 1);
    bench.later(3 * BEAT);
    assert!(!bench.wanting());
    bench.later(1);
    assert!(bench.wanting() && bench.links.silent(bench.now) == 1);
    // The bus is away, the instance is not.
    for number in 2..5 {
        assert_eq!(bench.answer(reply("r1", &[number], number)), fine(&[number]));
        assert_eq!(bench.conclude(&["r1"], true), fine(&[]));
        assert!(bench.wanting());
    }
    assert_eq!(bench.conclude(&[], false), fine(&[]), "it may be there");
    bench.beat(All, "r1", 0);
    assert!(!bench.wanting());
    bench.later(10 * BEAT);
    assert!(bench.wanting());
    assert_eq!(bench.conclude(&[], true), (vec![Lost::Events; 2], vec![]));
    assert!(!bench.wanting() && bench.links.silent(bench.now) == 0);
    // It was stopped, and goes on: nothing was missed.
    assert_eq!(bench.beat(Own, "r1", 4), fine(&[]));
    bench.beat(All, "r1", 0);
    assert_eq!(bench.take(Own, "r1", 5), fine(&[5]));
    assert!(!bench.wanting());
}

#[test]
fn an_instance_that_began_while_the_bus_was_away_is_asked_for_as_well() {
    let mut bench = Bench::with_two();
    bench.later(4 * BEAT);
    assert_eq!(bench.answer(reply("r2", &[1], 1)), fine(&[1]));
    assert_eq!(bench.conclude(&["r2"], true).1, [0; 0], "r1 is gone");
    bench.later(4 * BEAT);
    assert!(bench.wanting(), "of r2 the bus brings nothing");
    bench.beat(All, "r2", 0);
    assert!(!bench.wanting());
}

#[test]
fn who_says_that_it_ends_is_missed_by_nobody() {
    let mut bench = Bench::with_two();
    bench.take(Own, "r1", 1);
    bench.beat_of(Own, "r1", 1, 0);
    bench.beat_of(All, "r1", 0, 0);
    bench.later(60_000);
    assert!(!bench.wanting());
    assert_eq!(seen(bench.links.doubt(Own, bench.now)), fine(&[]));
    assert!(!bench.wanting());
    bench.later(600_000);
    bench.tick();
    assert!(!bench.links.publishers.contains_key("r1"));
}

#[test]
fn after_the_bus_was_away_each_publisher_is_asked_or_says_by_itself_what_was_lost() {
    let mut bench = Bench::with_two();
    bench.take(Own, "r1", 1);
    bench.take(Own, "s1", 1);
    for subject in BOTH {
        assert_eq!(seen(bench.links.doubt(subject, bench.now)), fine(&[]));
    }
    assert!(bench.wanting());
    assert_eq!(bench.answer(reply("r1", &[2, 3], 3)), fine(&[2, 3]));
    assert!(!bench.wanting());
    // Nothing was lost: nobody shows their token again for it.
    bench.later(BEAT);
    assert_eq!([bench.beat(All, "s1", 0), bench.beat(Own, "s1", 1)], [fine(&[]), fine(&[])]);
    bench.later(10 * BEAT);
    bench.beat(All, "s1", 0);
    assert_eq!(bench.tick(), fine(&[]));
    // A cut was.
    bench.links.doubt(All, bench.now);
    assert_eq!(bench.beat(All, "s1", 1), (vec![Lost::Cuts], vec![]));
}

#[test]
fn a_link_that_is_idle_is_not_taken_for_one_that_lost_something_and_a_dead_publisher_is() {
    for alive in [true, false] {
        let mut bench = Bench::with_two();
        bench.take(Own, "s1", 1);
        bench.links.doubt(Own, bench.now);
        for _ in 0..4 {
            bench.later(BEAT);
            if alive {
                bench.beat(All, "s1", 0);
            }
        }
        bench.answer(reply("r1", &[], 0));
        assert_eq!(bench.tick(), if alive { fine(&[]) } else { lost(&[]) });
    }
    // One that died long before is not in doubt.
    let mut bench = Bench::with_two();
    for _ in 0..5 {
        bench.later(BEAT);
        bench.beat(All, "r1", 0);
        assert_eq!(bench.tick(), fine(&[]));
    }
    bench.links.doubt(All, bench.now);
    bench.answer(reply("r1", &[], 0));
    bench.later(10 * BEAT);
    assert_eq!(bench.tick(), fine(&[]));
}

/// Goal: what a session process told last is not missed where the bus lost it and the process died.
#[test]
fn one_that_died_may_have_told_something_and_one_that_ended_did_not() {
    for ends in [false, true] {
        let mut bench = Bench::with_two();
        if ends {
            bench.beat_of(All, "s1", 0, 0);
        }
        let mut times = 0;
        for _ in 0..8 {
            bench.later(BEAT);
            bench.beat(All, "r1", 0);
            times += usize::from(bench.links.tick(bench.now).died);
        }
        assert_eq!(times, usize::from(!ends));
    }
}

/// One to all gateways, that goes after so many of these subjects.
fn to_all(number: u64, after_own: &[(&str, u64)]) -> Publication {
    let place = |&(subject, number): &(&str, u64)| PlaceOnSubject { subject: subject.to_owned(), number };
    Publication { after_own: after_own.iter().map(place).collect(), ..publication("r1", number) }
}

#[test]
fn what_overtakes_on_another_subject_waits_for_what_goes_before_it() {
    let mut bench = Bench::with_two();
    assert_eq!(bench.take(Own, "r1", 1), fine(&[1]));
    let other_gateway = to_all(1, &[("gateway.me", 1), ("gateway.you", 40)]);
    assert_eq!(seen(bench.links.take(All, other_gateway, bench.now)), fine(&[1]));
    assert_eq!(seen(bench.links.take(All, to_all(2, &[("gateway.me", 3)]), bench.now)), fine(&[]));
    assert!(bench.wanting(), "two are missing on the own subject");
    assert_eq!(bench.take(Own, "r1", 2), fine(&[2]));
    assert_eq!(bench.take(Own, "r1", 3), fine(&[3, 2]));
    assert!(!bench.wanting());
    let own = Publication { after_all: 4, ..publication("r1", 4) };
    assert_eq!(seen(bench.links.take(Own, own, bench.now)), fine(&[]));
    assert_eq!(seen(bench.links.take(All, to_all(3, &[]), bench.now)), fine(&[3]));
    assert_eq!(seen(bench.links.take(All, to_all(4, &[]), bench.now)), fine(&[4, 4]));
}

#[test]
fn what_waits_for_another_subject_is_asked_for_and_given_up_where_nobody_has_it() {
    let mut bench = Bench::with_two();
    assert_eq!(bench.take(Own, "r1", 1), fine(&[1]));
    assert_eq!(seen(bench.links.take(All, to_all(1, &[("gateway.me", 2)]), bench.now)), fine(&[]));
    let all = Missed { last: 1, publications: vec![to_all(1, &[("gateway.me", 2)]).encode_to_vec().into()] };
    let answer = MissedReply { all: Some(all), ..reply("r1", &[2], 2) };
    assert_eq!(bench.answer(answer), fine(&[2, 1]));

    assert_eq!(seen(bench.links.take(All, to_all(2, &[("gateway.me", 3)]), bench.now)), fine(&[]));
    assert_eq!(bench.conclude(&[], true), (vec![Lost::Events, Lost::Events], vec![]));
    assert!(!bench.wanting());
    // Of a publisher that was never heard on the subject of all gateways, nothing of there is waited for.
    let new = Publication { after_all: 9, ..publication("r2", 1) };
    assert_eq!(seen(bench.links.take(Own, new, bench.now)), fine(&[1]));
}

/// Goal: behind the word that events were lost there is one hole at most.
#[test]
fn what_went_before_a_hole_on_the_other_subject_does_not_come_behind_the_word_of_it() {
    let own = |number, after_all| Publication { after_all, ..publication("r1", number) };
    let mut bench = Bench::with_two();
    assert_eq!(bench.take(Own, "r1", 1), fine(&[1]));
    assert_eq!(seen(bench.links.take(All, to_all(1, &[("gateway.me", 1)]), bench.now)), fine(&[1]));
    // In this order: own 2, own 3, all 2, all 3, own 4. Here are own 3 and all 3, which does not say what goes before
    // all 2; nobody has the others.
    assert_eq!(seen(bench.links.take(Own, own(3, 1), bench.now)), fine(&[]));
    assert_eq!(seen(bench.links.take(All, to_all(3, &[]), bench.now)), fine(&[]));
    assert_eq!(bench.conclude(&[], false), lost(&[]));
    // Too late.
    assert_eq!(seen(bench.links.take(All, to_all(2, &[("gateway.me", 3)]), bench.now)), fine(&[]));
    assert_eq!(seen(bench.links.take(Own, own(4, 3), bench.now)), fine(&[4]));

    // own 5, own 6, all 4, own 7: all 4 is known of by own 7 alone.
    assert_eq!(seen(bench.links.take(Own, own(6, 3), bench.now)), fine(&[]));
    assert_eq!(seen(bench.links.take(Own, own(7, 4), bench.now)), fine(&[]));
    assert_eq!(bench.conclude(&[], false), lost(&[]));
    assert_eq!(seen(bench.links.take(Own, own(8, 4), bench.now)), fine(&[8]));

    // all 5, own 9: the instance has only the last to all gateways, and says so.
    let all = Missed { last: 7, publications: vec![to_all(7, &[]).encode_to_vec().into()] };
    let own = Missed { last: 9, publications: vec![own(9, 5).encode_to_vec().into()] };
    let answer = MissedReply { publisher: "r1".into(), own: Some(own), all: Some(all), moved: None };
    let (lost, ready) = bench.answer(answer);
    assert!(!lost.is_empty() && ready.is_empty(), "{ready:?}");
    assert!(!bench.wanting());
}

#[test]
fn what_is_not_sent_yet_is_waited_for_and_not_told_as_lost() {
    let mut bench = Bench::with_two();
    let own = Publication { after_all: 1, ..publication("r1", 1) };
    assert_eq!(seen(bench.links.take(Own, own.clone(), bench.now)), fine(&[]));
    // It has given the number, and not sent it.
    let own = Some(Missed { last: 1, publications: vec![own.encode_to_vec().into()] });
    let behind = MissedReply { own, ..reply("r1", &[], 0) };
    let (step, more) = bench.links.answer(behind, bench.now);
    assert_eq!((seen(step), more), (fine(&[]), false));
    assert_eq!(seen(bench.links.take(All, to_all(1, &[]), bench.now)), fine(&[1, 1]));
    bench.beat(All, "r1", 1);
    bench.beat(Own, "r1", 1);
    bench.later(DOUBT.as_millis().try_into().expect("few"));
    assert_eq!(bench.tick(), fine(&[]));
}
