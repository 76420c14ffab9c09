// A Rust program with threads: what its standard library does with futexes, thread-local memory, processes, sockets and files.
// Each line that it prints is always the same.
use std::cell::Cell;
use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Barrier, Condvar, Mutex, Once, RwLock};
use std::thread;
use std::time::{Duration, Instant};

const THREADS: usize = 16;

thread_local!(static OWN: Cell<usize> = Cell::new(7));

fn mutexes() {
    let sum = Arc::new(Mutex::new(0usize));
    let workers: Vec<_> = (0..THREADS)
        .map(|i| {
            let sum = Arc::clone(&sum);
            thread::spawn(move || {
                for n in 0..1000 {
                    *sum.lock().unwrap() += n * i;
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    println!("mutexes {}", sum.lock().unwrap());
}

fn channels() {
    let (send, receive) = mpsc::sync_channel::<usize>(4);
    let senders: Vec<_> = (0..THREADS)
        .map(|i| {
            let send = send.clone();
            thread::spawn(move || (0..500).for_each(|n| send.send(i * n).unwrap()))
        })
        .collect();
    drop(send);
    let sum: usize = receive.iter().sum();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    println!("channels {}", sum);
}

fn locks_of_readers() {
    let table = RwLock::new(HashMap::new());
    let found = AtomicUsize::new(0);
    thread::scope(|scope| {
        for i in 0..THREADS {
            let (table, found) = (&table, &found);
            scope.spawn(move || {
                for n in 0..200 {
                    table.write().unwrap().insert((i, n), i + n);
                    if table.read().unwrap().get(&(i, n)) == Some(&(i + n)) {
                        found.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    println!("readers {} {}", table.read().unwrap().len(), found.load(Ordering::Relaxed));
}

fn turns() {
    let state = Arc::new((Mutex::new(0usize), Condvar::new()));
    let barrier = Arc::new(Barrier::new(4));
    let players: Vec<_> = (0..4)
        .map(|me| {
            let (state, barrier) = (Arc::clone(&state), Arc::clone(&barrier));
            thread::spawn(move || {
                barrier.wait();
                for _ in 0..250 {
                    let mut turn = state.1.wait_while(state.0.lock().unwrap(), |turn| *turn % 4 != me).unwrap();
                    *turn += 1;
                    state.1.notify_all();
                }
            })
        })
        .collect();
    players.into_iter().for_each(|player| player.join().unwrap());
    println!("turns {}", state.0.lock().unwrap());
}

fn panics_and_own_memory() {
    std::panic::set_hook(Box::new(|_| ()));
    let results: Vec<_> = (0..THREADS)
        .map(|i| {
            thread::Builder::new().stack_size(256 << 10).spawn(move || {
                OWN.with(|own| own.set(own.get() + i));
                if i % 4 == 3 {
                    panic!("number {}", i);
                }
                OWN.with(Cell::get)
            })
        })
        .map(|spawned| spawned.unwrap().join())
        .collect();
    let panicked = results.iter().filter(|result| result.is_err()).count();
    let sum: usize = results.into_iter().flatten().sum();
    println!("panics {} own {} main {}", panicked, sum, OWN.with(Cell::get));
}

fn time() {
    static BEGUN: Once = Once::new();
    BEGUN.call_once(|| ());
    let start = Instant::now();
    thread::sleep(Duration::from_millis(30));
    thread::park_timeout(Duration::from_millis(30));
    let (lock, never) = (Mutex::new(()), Condvar::new());
    let (_guard, result) = never.wait_timeout_while(lock.lock().unwrap(), Duration::from_millis(30), |_| true).unwrap();
    println!("time {} {} {}", BEGUN.is_completed(), result.timed_out(), start.elapsed() >= Duration::from_millis(90));
}

fn processes() {
    let me = std::env::current_exe().unwrap();
    let children: Vec<_> = (0..8)
        .map(|i| {
            let me = me.clone();
            thread::spawn(move || {
                let mut child = Command::new(me).arg("child").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
                child.stdin.take().unwrap().write_all(&vec![i as u8; 100_000]).unwrap();
                let output = child.wait_with_output().unwrap();
                (String::from_utf8(output.stdout).unwrap().trim().parse::<usize>().unwrap(), output.status.code())
            })
        })
        .map(|child| child.join().unwrap())
        .collect();
    println!("processes {:?}", children);
}

fn child() -> ! {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).unwrap();
    println!("{}", bytes.iter().map(|&byte| byte as usize).sum::<usize>());
    std::process::exit(bytes[0] as i32)
}

fn streams() {
    let (mut here, mut there) = UnixStream::pair().unwrap();
    let echo = thread::spawn(move || {
        let mut bytes = Vec::new();
        there.read_to_end(&mut bytes).unwrap();
        there.write_all(&bytes).unwrap();
    });
    here.write_all(&[3; 50_000]).unwrap();
    here.shutdown(std::net::Shutdown::Write).unwrap();
    let mut back = Vec::new();
    here.read_to_end(&mut back).unwrap();
    echo.join().unwrap();
    println!("streams {}", back.len());
}

fn files() {
    let path = std::env::temp_dir().join("threads.rs.file");
    let mut file = std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    for i in 0..1000u32 {
        file.write_all(&i.to_le_bytes()).unwrap();
    }
    let mut bytes = [0; 4];
    file.seek(SeekFrom::Start(4 * 777)).unwrap();
    file.read_exact(&mut bytes).unwrap();
    std::fs::remove_file(&path).unwrap();
    println!("files {} {}", u32::from_le_bytes(bytes), path.exists());
}

fn main() {
    if std::env::args().nth(1).as_deref() == Some("child") {
        child();
    }
    mutexes();
    channels();
    locks_of_readers();
    turns();
    panics_and_own_memory();
    time();
    processes();
    streams();
    files();
}
