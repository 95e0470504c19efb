use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::{Stream, WRITE_TIMEOUT};

/// Both ends of a connection, and the room in which the server's end has the only place.
async fn pair(write_timeout: Duration) -> (Stream, TcpStream, Arc<Semaphore>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (accepted, client) = tokio::join!(listener.accept(), TcpStream::connect(address));
    let room = Arc::new(Semaphore::new(1));
    let place = Arc::clone(&room).try_acquire_owned().expect("a place");
    let stream = Stream::new(accepted.expect("accepted").0, place, write_timeout);
    (stream, client.expect("connected"), room)
}

#[tokio::test]
async fn a_peer_that_takes_nothing_loses_the_connection() {
    let (mut stream, _client, _room) = pair(Duration::from_millis(50)).await;
    let chunk = vec![0; 1 << 20];
    let written = async {
        loop {
            if let Err(error) = stream.write_all(&chunk).await {
                return error.kind();
            }
        }
    };
    let kind = tokio::time::timeout(WRITE_TIMEOUT, written).await.expect("it ends");
    assert_eq!(kind, std::io::ErrorKind::TimedOut);
}

#[tokio::test]
async fn who_is_still_sending_reads_the_answer() {
    let (mut stream, mut client, room) = pair(WRITE_TIMEOUT).await;
    client.write_all(&vec![0; 64 << 10]).await.expect("sent");
    stream.write_all(b"answer").await.expect("sent");
    drop(stream);
    assert_eq!(room.available_permits(), 0, "the place is taken until the socket is closed");
    client.write_all(&vec![0; 8 << 20]).await.expect("it is read to the end");
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.expect("no reset");
    assert_eq!(answer, "answer");
    drop(client);
    let freed = tokio::time::timeout(WRITE_TIMEOUT, room.acquire()).await.expect("in time");
    assert!(freed.is_ok());
}
