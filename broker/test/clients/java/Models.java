import java.lang.reflect.Method;

/** MessageModel lies in another package in 5.x than in 4.9. */
final class Models {
    private Models() {
    }

    static void set(Object consumer, boolean broadcasting) throws Exception {
        for (Method m : consumer.getClass().getMethods()) {
            if (!m.getName().equals("setMessageModel")) continue;
            for (Object model : m.getParameterTypes()[0].getEnumConstants()) {
                if (model.toString().equals(broadcasting ? "BROADCASTING" : "CLUSTERING")) m.invoke(consumer, model);
            }
        }
    }
}
