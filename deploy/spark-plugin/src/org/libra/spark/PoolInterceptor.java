package org.libra.spark;

import org.apache.spark.sql.SparkSession;
import org.sparkproject.connect.grpc.ForwardingServerCallListener.SimpleForwardingServerCallListener;
import org.sparkproject.connect.grpc.Metadata;
import org.sparkproject.connect.grpc.ServerCall;
import org.sparkproject.connect.grpc.ServerCallHandler;
import org.sparkproject.connect.grpc.ServerInterceptor;
import scala.Option;

/**
 * Puts each statement into the pool of Spark's own scheduler that its request names in the header
 * {@code libra-pool}.
 *
 * <p>Spark Connect starts a statement's execution thread inside {@code onHalfClose}, and that
 * thread inherits the local properties of the one that starts it. So the property is set just
 * around that call. It is cleared for requests without the header too: a thread of the server's
 * own pool may have been started, and so have inherited it, at the wrong moment.
 */
public final class PoolInterceptor implements ServerInterceptor {
  private static final Metadata.Key<String> HEADER =
      Metadata.Key.of("libra-pool", Metadata.ASCII_STRING_MARSHALLER);
  private static final String PROPERTY = "spark.scheduler.pool";

  @Override
  public <Q, A> ServerCall.Listener<Q> interceptCall(
      ServerCall<Q, A> call, Metadata headers, ServerCallHandler<Q, A> next) {
    String pool = headers.get(HEADER);
    return new SimpleForwardingServerCallListener<Q>(next.startCall(call, headers)) {
      @Override
      public void onHalfClose() {
        set(pool);
        try {
          super.onHalfClose();
        } finally {
          set(null);
        }
      }
    };
  }

  /** Sets the property of this thread; null removes it. */
  private static void set(String pool) {
    Option<SparkSession> session = SparkSession.getDefaultSession();
    if (session.isDefined()) {
      session.get().sparkContext().setLocalProperty(PROPERTY, pool);
    }
  }
}
