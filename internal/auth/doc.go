// Package auth decides who may come in, and says what they may do.
//
// A [Gate] is asked by every protocol, for each call, request or hello, with what
// the [Visitor] has shown: a token, a password, or a certificate that TLS has
// verified. It hands out a [Pass], or refuses. Refusals are counted, written down,
// and slowed down for the address that they come from. Whoever serves those who were let
// in tells it of limits that they reach, which are counted and written down, too, and hears
// for how long a client that does so without end is to be left alone.
//
// A pass leads to a [Principal]: a name, a [Role], the names of locks that it may
// use, and its [Limits]. It always shows the principal as it is now, so that a
// changed file takes effect on connections that are there already; [Pass.OnRevoke] tells
// when what let its owner in is good no more. Who serves a connection, a call or a
// request has its pass at hand:
//
//   - calls of gRPC and requests of REST have it in their context, [PassOf];
//   - conversations of the native protocol keep the one of their hello;
//   - sessions of the lock table have the principal's name as lock.Info.Principal.
//
// A principal without a name is somebody who was asked for nothing, or who has shown
// a password: there may be many of them, and one cannot tell them apart.
//
// The package knows neither files of tokens nor where a credential was found, nor how
// a refusal is worded there: package tokens and whoever speaks to clients do.
package auth
