//! How messages are encoded and decoded: as everywhere by prost, in buffers that fit what is sent here. Nearly all of our
//! messages are smaller than a kibibyte; the buffers of 8 KiB that tonic makes by itself, one for each direction of each
//! call at either end, cost more than encoding does, and stay for as long as a stream is open.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec as CodecTrait};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// Bytes that a buffer begins with; a larger message makes it grow.
const BUFFER: usize = 1024;
/// Bytes of messages that are gathered before a stream gives way to others: tonic's own number.
const YIELD_AT: usize = 32 * 1024;

/// Encodes `T` and decodes `U`: what generated clients and servers use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Codec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Codec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> CodecTrait for Codec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ProstDecoder<U>;

    fn encoder(&mut self) -> ProstEncoder<T> {
        ProstEncoder::new(BufferSettings::new(BUFFER, YIELD_AT))
    }

    fn decoder(&mut self) -> ProstDecoder<U> {
        ProstDecoder::new(BufferSettings::new(BUFFER, YIELD_AT))
    }
}
